"""Decides how many threads the engine uses, so that it does not compete for cores."""

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
    """The number of cores that this process may run on, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_for(cores: int, idle_share: float) -> int:
    """The number of threads for `cores` cores: one for each idle core, but at least 1.

    This is for builds of llama.cpp whose threads wait for each other by spinning. With one thread
    more than there are idle cores, every step waits for the scheduler: with both of two cores busy,
    two threads made 0.3 to 1.7 tokens/s, and one made 8 to 9. Where they sleep (`child.py`), all
    cores are used.

    Args:
        cores: the usable cores.
        idle_share: the share of their time that is idle, in [0, 1].
    """
    return max(1, min(cores, round(cores * idle_share)))


async def free_cores(
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, times: Callable[[], Any] = psutil.cpu_times
) -> int:
    """The number of threads for the current load of the machine.

    It samples the load for a tenth of a second. Unless all cores are idle, it takes the median of
    five samples: an engine keeps its threads for life, so a short burst of load must not decide.
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
    # Time taken by the kernel or by other guests of the host is not idle. Waiting for a disk is.
    idle = (after.idle - before.idle) + (getattr(after, "iowait", 0.0) - getattr(before, "iowait", 0.0))
    return float(idle / total) if total > 0 else 1.0
