"""One connection each, asked in turn, so that whatever else the machine does meets all alike: what a gateway adds to the upstream's own time."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .requests import Target

__all__ = ["Asker", "Times", "in_turn", "quantile"]

MAX_BYTES = 1 << 16


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies, interpolated."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(slots=True)
class Times:
    """Milliseconds of each request: to the first byte of the body, and to its end."""

    first_ms: list[float]
    whole_ms: list[float]


class Asker:
    """A client of one connection with nothing in between: a socket, and bytes that were made before."""

    def __init__(self, target: Target) -> None:
        self.target = target
        parts = urlsplit(target.url)
        assert parts.hostname is not None
        self._address = (parts.hostname, parts.port or 80)
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(target.body)}"]
        lines += [f"{name}: {value}" for name, value in target.headers.items()]
        self._request = "\r\n".join(lines).encode() + b"\r\n\r\n" + target.body
        self._socket: socket.socket | None = None

    def ask(self) -> tuple[float, float, bytes]:
        """(milliseconds to the first byte of the body, to its end, everything that came)."""
        link = self._socket or self._connect()
        began = time.perf_counter()
        link.sendall(self._request)
        got, first, start, end = b"", 0.0, -1, -1
        while True:
            piece = link.recv(MAX_BYTES)
            now = time.perf_counter()
            got += piece
            if start < 0:
                start = got.find(b"\r\n\r\n")
                if start >= 0:
                    head = got[:start].lower()
                    at = head.find(b"content-length:")
                    end = start + 4 + int(head[at + 15 :].partition(b"\r")[0]) if at >= 0 else -1
            if start >= 0 and not first and len(got) > start + 4:
                first = now
            if not piece or (len(got) >= end if end >= 0 else start >= 0 and got.endswith(b"0\r\n\r\n")):
                break
        if b"connection: close" in got[:start].lower() or not piece:
            self.close()
        return (first - began) * 1000, (now - began) * 1000, got

    def _connect(self) -> socket.socket:
        self._socket = socket.create_connection(self._address, timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        """Close the connection. May be called twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def in_turn(targets: Sequence[Target], rounds: int) -> dict[str, Times]:
    """Times of every target, by name. RuntimeError when an answer is no 200."""
    askers = [Asker(target) for target in targets]
    found = {target.name: Times([], []) for target in targets}
    try:
        for number in range(rounds + 20):
            for asker in askers:
                first_ms, whole_ms, got = asker.ask()
                if not got.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"{asker.target.name} answered {got[:200]!r}")
                if number >= 20:  # the first ones warm up
                    found[asker.target.name].first_ms.append(first_ms)
                    found[asker.target.name].whole_ms.append(whole_ms)
    finally:
        for asker in askers:
            asker.close()
    return found


def added_ms(times: dict[str, Times], name: str, share: float) -> float:
    """What this one adds to the upstream asked directly, at this share of the requests."""
    return quantile(times[name].whole_ms, share) - quantile(times["direct"].whole_ms, share)


def first_added_ms(times: dict[str, Times], name: str) -> float:
    """By how much the first byte of the body comes later than from the upstream, in the median."""
    return statistics.median(times[name].first_ms) - statistics.median(times["direct"].first_ms)
