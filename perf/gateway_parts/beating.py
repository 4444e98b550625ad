"""`selfopt serve` with a beat on the gateway's loop, which notes how long the loop could not go on. A process of its own:
`python beating.py FILE serve --port N`. FILE has two doubles: the longest step since they were set to zero, as seconds of the loop's own
CPU time and of the clock (which counts threads that hold the interpreter, and other processes on the core)."""

from __future__ import annotations

import asyncio
import mmap
import socket
import struct
import sys
import time
from pathlib import Path

from selfopt.cli import main
from selfopt.gateway import Gateway

__all__ = ["LAYOUT"]

LAYOUT = struct.Struct("dd")
PAUSE_S = 0.001


async def beat(memory: mmap.mmap) -> None:
    """For ever."""
    cpu, at = time.thread_time(), time.perf_counter()
    while True:
        await asyncio.sleep(PAUSE_S)
        now_cpu, now = time.thread_time(), time.perf_counter()
        steps = LAYOUT.unpack(memory[: LAYOUT.size])
        memory[: LAYOUT.size] = LAYOUT.pack(max(steps[0], now_cpu - cpu), max(steps[1], now - at - PAUSE_S))
        cpu, at = now_cpu, now


def watch(path: Path) -> None:
    """Have every gateway of this process watched."""
    with path.open("r+b") as file:
        memory = mmap.mmap(file.fileno(), LAYOUT.size)
    start, beats = Gateway.start, list[asyncio.Task[None]]()

    async def started(self: Gateway, shared: socket.socket | None = None) -> None:
        await start(self, shared)
        beats.append(asyncio.get_running_loop().create_task(beat(memory)))

    Gateway.start = started  # type: ignore[method-assign]


if __name__ == "__main__":
    watch(Path(sys.argv.pop(1)))
    main()
