"""How many threads the engine may use without fighting over the cores."""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

SAMPLE_S = 0.1
SAMPLES = 5


def usable_cores() -> int:
    """Cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(cores: int, idle_share: float) -> int:
    """Threads for so many cores of which a share in [0, 1] is idle: the idle ones, rounded, at least 1.

    llama.cpp's threads wait for each other at every layer, spinning. One thread more than there are free cores makes each
    step wait for the scheduler: seen here with both of two cores taken by others, 0.3 to 1.7 tokens/s with two threads
    against 8 to 9 with one.
    """
    return max(1, min(cores, round(cores * idle_share)))


async def free_cores(
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, times: Callable[[], Any] = psutil.cpu_times
) -> int:
    """Threads for the machine as it is now: from a tenth of a second of its accounting where that finds every core free, else the
    median of five. An engine keeps its threads for as long as it lives, and a burst of a moment (the end of an
    installation, a neighbour on the same host) would halve its speed for all of it.
    """
    cores, found = usable_cores(), []
    for _ in range(SAMPLES):
        found.append(threads_for(cores, await _idle_share(sleep, times)))
        if found == [cores]:
            return cores
    return statistics.median_low(found)


async def _idle_share(sleep: Callable[[float], Awaitable[None]], times: Callable[[], Any]) -> float:
    before = times()
    await sleep(SAMPLE_S)
    after = times()
    total = sum(after) - sum(before)
    # Time that the kernel or a neighbour on the same host took is not idle; waiting for a disk is.
    idle = (after.idle - before.idle) + (getattr(after, "iowait", 0.0) - getattr(before, "iowait", 0.0))
    return float(idle / total) if total > 0 else 1.0
