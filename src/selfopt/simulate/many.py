"""Runs many replications and takes their means.

The number of processes does not change the figures.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from selfopt.errors import UsageError
from selfopt.stats import clopper_pearson_upper

from .once import Figures

_CHUNK = 20


class Task(Protocol):
    """What is repeated. It can be pickled, so that other processes can run it."""

    def once(self, seed: str) -> Figures:
        """One replication."""
        ...


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a figure over replications.

    Attributes:
        value: the mean.
        se: its standard error.
        upper95: the exact upper 95 % limit when the figure is 0 or 1 in every replication, else
            NaN.
    """

    value: float
    se: float
    upper95: float


Means = Mapping[str, Mean]
"""The mean of each figure, by its name."""


def repeat(task: Task, replications: int, *, seed: str = "0", processes: int | None = None, chunk: int = _CHUNK) -> Means:
    """The means over what `repeat_rows` returns."""
    rows = repeat_rows(task, replications, seed=seed, processes=processes, chunk=chunk)
    return {name: _mean([row[name] for row in rows]) for name in rows[0]}


def repeat_rows(
    task: Task, replications: int, *, seed: str = "0", processes: int | None = None, chunk: int = _CHUNK
) -> list[Figures]:
    """Run a task so many times, each time with a seed of its own.

    Args:
        task: what is repeated.
        replications: how many times.
        seed: the seeds of the replications follow from this one.
        processes: how many processes share the work; None: one for each core.
        chunk: how many replications a process takes at a time.

    Raises:
        UsageError: for fewer than one replication or process.
    """
    processes = (os.cpu_count() or 1) if processes is None else processes
    if replications < 1 or processes < 1:
        raise UsageError(f"{replications} replications in {processes} processes: need at least 1 of both")
    chunks = [(task, seed, start, min(start + chunk, replications)) for start in range(0, replications, chunk)]
    if processes == 1 or len(chunks) == 1:
        parts = [_chunk(*each) for each in chunks]
    else:
        parts = _over_processes(chunks, min(processes, len(chunks)))
    return [row for part in parts for row in part]


def _over_processes(chunks: Sequence[tuple[Task, str, int, int]], processes: int) -> list[list[Figures]]:
    """Fork where that is possible and safe (this process has one thread).

    A spawned process imports everything again.
    """
    fork = "fork" in multiprocessing.get_all_start_methods() and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if fork else "spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_ignore_interrupts)
    try:
        return list(pool.map(_chunk, *zip(*chunks, strict=True)))
    finally:
        # After Ctrl-C, what has not begun never begins.
        pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C here.

    It reaches every process of the terminal, and the first one stops the others.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chunk(task: Task, seed: str, start: int, end: int) -> list[Figures]:
    return [task.once(f"{seed} {number}") for number in range(start, end)]


def _mean(values: Sequence[float]) -> Mean:
    n = len(values)
    mean = math.fsum(values) / n
    spread = math.fsum((value - mean) ** 2 for value in values) / max(1, n - 1)
    share = all(value in (0.0, 1.0) for value in values)
    upper = clopper_pearson_upper(round(mean * n), n) if share else math.nan
    return Mean(mean, math.sqrt(spread / n), upper)
