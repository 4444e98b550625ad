"""The second process: `python -m tests.attacks.watch PORT PID FILE`, with a key in WATCH_KEY, asks for /health every 20 ms and looks at the gateway's memory.

One line a sample: monotonic time at the begin, milliseconds until the answer (-1: none), resident bytes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Sample", "read_samples"]

EVERY_S = 0.02
PATIENCE_S = 20.0
REQUEST = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. ms: -1 where no answer came."""

    at: float
    ms: float
    rss: int


def read_samples(path: Path, since: float, until: float) -> list[Sample]:
    """What was seen between two moments of `time.monotonic`."""
    rows = (line.split() for line in path.read_text().splitlines() if line.count(" ") == 2)
    samples = (Sample(float(a), float(b), int(c)) for a, b, c in rows)
    return [sample for sample in samples if since <= sample.at <= until]


def _ask(port: int, known: socket.socket | None) -> socket.socket:
    """A request over the connection that is kept, or over a new one."""
    if known is not None:
        with contextlib.suppress(OSError):
            known.sendall(REQUEST % (port, os.environb[b"WATCH_KEY"]))
            if known.recv(65_536).startswith(b"HTTP/1.1 200"):
                return known
    fresh = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    fresh.sendall(REQUEST % (port, os.environb[b"WATCH_KEY"]))
    if not fresh.recv(65_536).startswith(b"HTTP/1.1 200"):
        raise OSError("no health")
    return fresh


def main(port: int, pid: int, path: Path) -> None:
    """Look until the gateway is gone."""
    process = psutil.Process(pid)
    connection: socket.socket | None = None
    with path.open("w", buffering=1) as file:
        while True:
            began = time.monotonic()
            try:
                connection = _ask(port, connection)
                ms = (time.monotonic() - began) * 1000
            except OSError:
                connection, ms = None, -1.0
            try:
                rss = process.memory_info().rss
            except psutil.Error:
                return
            file.write(f"{began:.4f} {ms:.2f} {rss}\n")
            time.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
