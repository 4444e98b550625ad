"""The engine that measures: it makes asks in a given order, each durable before its slot is used again.

A pass over a suite is a batch of asks to one arm. A block of a race is a batch of asks to several arms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from selfopt.errors import EndpointError, StoreError
from selfopt.records import Ask, Record, Suite, TrialStart, new_id

from .context import Desk
from .executor import Work
from .health import Health
from .resume import closing_records, run_end
from .trial import JudgedTrial, OpenArm, TrialJob, TrialResult, run_trial

Place = tuple[str, int]
"""Where a trial belongs: `Ask.place`."""

_LOOK_EVERY = 25
_MAX_CONNECT_FAILURES = 3


class _Faulty(Exception):
    """The endpoint is not healthy, so these asks are worth nothing."""


@dataclass(slots=True)
class Asking:
    """Asks of one batch, under way.

    Attributes:
        arms: by request_id; the run of each has been made, and is stored with its first trial.
        asks: what is to be asked, in this order, each with its place in the order of all asks, those included that are made already.
        suite: of all of them.
        batch: what the batch is called where it is given up.
        health: looked at every so many asks, whatever came of them; None where nobody judges the server.
        done: what was committed, in that order.
        stopped: the cap that ended it early, if one did.
    """

    desk: Desk
    arms: Mapping[str, OpenArm]
    asks: Sequence[tuple[int, Ask]]
    suite: Suite
    batch: Literal["run", "block"]
    health: Health | None = None
    done: dict[Place, JudgedTrial] = field(default_factory=dict)
    stopped: str | None = None
    _in_flight: dict[str, TrialJob] = field(default_factory=dict)
    _replied: bool = False
    _connect_failures: int = 0

    async def make(self) -> str | None:
        """Make the asks, as far as the budget goes. Returns what is wrong with the endpoint, None if nothing is.

        If it is cancelled or fails, committed trials stay and the runs are marked as interrupted. Otherwise the caller appends
        the records of `closing`.

        Raises:
            EndpointError: what would befall every trial: no server, a wrong key, an unknown model.
            StoreError: the ledger cannot be written.
        """
        context = self.desk.context
        prologue = [record for arm in self.arms.values() for record in arm.prologue]
        work = Work(self._jobs(), self._measure, self._start, self._committed, prologue, self._in_flight)
        slots = min(context.slots_for(arm.spec) for arm in self.arms.values())
        try:
            await context.executor_for(context.ledger, slots).run(work)
        except _Faulty:
            assert self.health is not None
            return self.health.found
        except BaseException as error:
            reason = f"the {self.batch} was given up: {error}" if isinstance(error, EndpointError) else "interrupted"
            # What made it fail is worth more than that its end could not be written either; the next start writes it.
            with suppress(StoreError):
                await context.ledger.append(self.closing(reason))
            raise
        return None

    def closing(self, reason: str) -> tuple[Record, ...]:
        """The records that end the runs. reason: why trials in flight are abandoned."""
        ledger, now = self.desk.context.ledger, self.desk.context.now()
        if self._in_flight:
            for _ in self._in_flight:
                self.desk.meter.release()
            self._in_flight.clear()
            return tuple(record for arm in self.arms.values() for record in closing_records(ledger, arm.run, now, reason))
        made = Counter(request_id for request_id, _ in self.done)
        return tuple(run_end(arm.run, made[request_id], now) for request_id, arm in self.arms.items())

    def _jobs(self) -> Iterator[TrialJob]:
        """Jobs for as long as the budget lasts."""
        prompts = {prompt.id: prompt for prompt in self.suite.prompts}
        for index, ask in self.asks:
            if not self.desk.meter.reserve():
                self.stopped = self.desk.meter.stop_reason
                return
            prompt = prompts[ask.prompt_id]
            yield TrialJob(new_id("trial"), self.arms[ask.arm], ask, prompt, self.suite.tools_of(prompt), index)

    async def _measure(self, job: TrialJob, slot: int) -> TrialResult:
        """One trial, of whichever arm."""
        if self.health is not None and job.index and job.index % _LOOK_EVERY == 0:
            await self._require_health()
        arm, desk = job.arm, self.desk
        desk.board.at(arm.spec.label, arm.run.run_index)
        desk.board.prompt_id = job.prompt.id
        result = await run_trial(job, slot)
        usage = result.judged.trial.usage
        desk.meter.charge(usage, desk.context.price_for(arm.spec, usage), arm.spec.model)
        await self._look_at(result)
        return result

    async def _look_at(self, result: TrialResult) -> None:
        """End the batch on an error that every other trial would meet too; it is not scored."""
        error = result.error
        if error is None:
            self._replied = True
            self._connect_failures = 0
        elif error.kind in ("auth", "not_found"):
            raise error
        elif error.kind == "connect" and result.judged.trial.fault == "error":
            self._connect_failures += 1
            if not self._replied or self._connect_failures >= _MAX_CONNECT_FAILURES:
                await self._require_health()
                raise error

    async def _require_health(self) -> None:
        if self.health is not None and await self.health.problem() is not None:
            raise _Faulty

    def _start(self, job: TrialJob, slot: int) -> TrialStart:
        """The record that says that a trial is about to use its slot."""
        run = job.arm.run
        return TrialStart(
            trial_id=job.trial_id,
            run_id=run.run_id,
            prompt_id=job.prompt.id,
            run_index=run.run_index,
            slot=slot,
            at=self.desk.context.now(),
        )

    def _committed(self, job: TrialJob, result: TrialResult) -> None:
        """Count a durable trial."""
        self.done[job.ask.place] = result.judged
        self.desk.meter.commit()
        self.desk.board.committed(job.prompt.id, result.judged.verdict.outcome)
