"""Does trials on this machine: N slots under asyncio.

Each trial is durable before its slot is used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from selfopt.records import Ledger, Record, Trial, TrialStart

from .lookup import find

if TYPE_CHECKING:
    from .trial import TrialJob, TrialResult


@dataclass(frozen=True, slots=True)
class Work:
    """What an executor is handed.

    Attributes:
        jobs: the trials to do.
        measure: does one trial in a slot.
        start: makes the record that a trial begins.
        committed: is told when a trial is durable.
        prologue: records that must be durable with the first starts.
        in_flight: trials that have begun and are not known to be committed, by id. When `run`
            raises, the ledger tells what became of them.
    """

    jobs: Iterator[TrialJob]
    measure: Callable[[TrialJob, int], Awaitable[TrialResult]]
    start: Callable[[TrialJob, int], TrialStart]
    committed: Callable[[TrialJob, TrialResult], None]
    prologue: Sequence[Record]
    in_flight: dict[str, TrialJob]


class Executor(Protocol):
    """Does trials somewhere."""

    async def run(self, work: Work) -> None:
        """Do all jobs.

        An exception of `measure` ends the other trials and is raised; what is committed stays.
        """
        ...


class AsyncExecutor:
    """The executor of one process."""

    def __init__(self, ledger: Ledger, slots: int) -> None:
        self._ledger = ledger
        self._slots = max(1, slots)

    async def run(self, work: Work) -> None:
        """Do all jobs. One append stores a trial with its blobs and verdict, and the next start."""
        first = list(islice(work.jobs, self._slots))
        starts = [work.start(job, slot) for slot, job in enumerate(first)]
        work.in_flight.update((job.trial_id, job) for job in first)
        await self._ledger.append([*work.prologue, *starts])
        if len(first) == 1:
            await self._slot(work, first[0], 0)
            return
        try:
            async with asyncio.TaskGroup() as group:
                for slot, job in enumerate(first):
                    group.create_task(self._slot(work, job, slot))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _slot(self, work: Work, first: TrialJob, slot: int) -> None:
        job: TrialJob | None = first
        while job is not None:
            result = await work.measure(job, slot)
            following = next(work.jobs, None)
            records: list[Record] = [*result.blobs, result.judged.trial, result.judged.verdict]
            if following is not None:
                records.append(work.start(following, slot))
                work.in_flight[following.trial_id] = following
            cancelled: asyncio.CancelledError | None = None
            try:
                await self._ledger.append(records)
            except asyncio.CancelledError as error:
                # The ledger raises this once it knows whether the records are stored. If they are, the trial counts.
                if find(self._ledger, Trial, job.trial_id) is None:
                    raise
                cancelled = error
            del work.in_flight[job.trial_id]
            work.committed(job, result)
            if cancelled is not None:
                raise cancelled
            job = following
