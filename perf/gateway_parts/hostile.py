"""What hostile clients cost: the longest wait for `/health`, asked by a process of its own all the while, and the memory that is left a minute later."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .ours import Ours, fixed_world, our_gateway

__all__ = ["ATTACKS", "Attack", "attacked"]

UPLOADS, UPLOAD_BYTES, CONNECTIONS, TRAILERS_S, SETTLE_S = 60, 19_900_000, 1000, 45.0, 60.0
PIECE = 65_536
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}{framing}\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Attack:
    """What came of one. health_s: the longest wait for /health; idle_mb, peak_mb, left_mb: resident memory before, at most, and a minute after."""

    name: str
    health_s: float
    asked: int
    idle_mb: float
    peak_mb: float
    left_mb: float

    @property
    def ratio(self) -> float:
        """What is left, as a multiple of what was there before."""
        return self.left_mb / self.idle_mb


def _head(key: str, framing: str) -> bytes:
    return HEAD.format(more=f"Authorization: Bearer {key}\r\n" if key else "", framing=framing).encode()


async def _upload(port: int, key: str) -> None:
    """19.9 MB of a body that was said to be longer, then gone."""
    with suppress(ConnectionError, OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_head(key, f"Content-Length: {UPLOAD_BYTES + 1000}"))
        for _ in range(UPLOAD_BYTES // PIECE):
            writer.write(b"x" * PIECE)
            await writer.drain()
            if writer.transport.is_closing() or reader.at_eof():
                break
        writer.transport.abort()


async def uploads(port: int, key: str) -> None:
    """Sixty at once, then sixty one after another."""
    await asyncio.gather(*(_upload(port, key) for _ in range(UPLOADS)))
    for _ in range(UPLOADS):
        await _upload(port, key)


async def crowd(port: int, key: str) -> None:
    """A thousand connections that say nothing, half of something, nonsense, or too much, and are held for a while."""
    said = [
        b"",
        b"GET /hea",
        _head(key, "Content-Length: 19000000") + b"x" * 70_000,
        b"\x16\x03\x01\x02\x00" * 20,
        _head(key, "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 20_000,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000,
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500,
    ]

    async def one(number: int) -> asyncio.StreamWriter | None:
        with suppress(ConnectionError, OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said[number % len(said)])
            return writer
        return None

    held = [await one(number) for number in range(CONNECTIONS)]
    await asyncio.sleep(5)
    for writer in held:
        if writer is not None:
            writer.transport.abort()


async def trailers(port: int, key: str) -> None:
    """A trailer line that does not end, for as long as anybody listens, again and again."""
    until = time.monotonic() + TRAILERS_S
    while time.monotonic() < until:
        with suppress(ConnectionError, OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_head(key, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\nX: ")
            while time.monotonic() < until and not reader.at_eof() and not writer.transport.is_closing():
                writer.write(b"a" * PIECE)
                await writer.drain()
                await asyncio.sleep(0)
            writer.transport.abort()


ATTACKS: dict[str, Callable[[int, str], Awaitable[None]]] = {"uploads": uploads, "crowd": crowd, "trailers": trailers}

_WATCH = """
import json, os, select, socket, sys, time
os.sched_setaffinity(0, range(os.cpu_count()))
port, worst, asked = int(sys.argv[1]), 0.0, 0
request = b"GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n%s\\r\\n" % (b"Authorization: Bearer " + sys.argv[2].encode() + b"\\r\\n" if sys.argv[2] else b"")
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.sendall(request)
        got = link.recv(4096)
    assert b"200 OK" in got, got
    worst, asked = max(worst, time.perf_counter() - began), asked + 1
print(json.dumps([worst, asked]))
"""


def _rss_mb(gateway: Ours) -> float:
    return gateway.child.memory().rss_mb


async def _attack(name: str, gateway: Ours, key: str) -> Attack:
    port = int(gateway.url.rpartition(":")[2])
    idle = peak = _rss_mb(gateway)
    watch = subprocess.Popen(  # noqa: ASYNC220  started before anything else runs; on any core, since the attackers fill theirs
        [sys.executable, "-c", _WATCH, str(port), gateway.key],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        task = asyncio.ensure_future(ATTACKS[name](port, key))
        while not task.done():
            peak = max(peak, _rss_mb(gateway))
            await asyncio.sleep(0.1)
        await task
    finally:
        assert watch.stdin is not None
        watch.stdin.close()
    await asyncio.sleep(SETTLE_S)
    assert watch.stdout is not None
    worst, asked = json.loads(watch.stdout.read())
    watch.stdout.close()
    watch.wait()
    return Attack(name, worst, asked, idle, peak, _rss_mb(gateway))


def attacked(folder: Path, upstream: str, *, knows_key: bool) -> list[Attack]:
    """All attacks in turn against one gateway: by clients that know its key, or by some that do not."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with our_gateway(folder, fixed_world(upstream)) as gateway:
        for shape in ("plain", "stream", "tools"):
            gateway.target(shape).check()
        found = []
        for name in ATTACKS:
            found.append(asyncio.run(_attack(name, gateway, gateway.key if knows_key else "sk-wrong")))
            print(f"hostile, {name}: done", file=sys.stderr, flush=True)
    return found
