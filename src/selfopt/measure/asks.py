"""The engine that measures: it makes asks in a given order.

Each is durable before its slot is used again.

A pass over a suite is a batch of asks to one arm. A block of a race is a batch of asks to several
arms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from selfopt.errors import EndpointError, StoreError
from selfopt.records import Ask, Record, Run, RunEnd, Suite, Trial, TrialStart, new_id

from .context import Desk
from .executor import Work
from .health import Health
from .refusals import Refusals, is_overloaded, only_fails
from .resume import closing_records, run_end
from .trial import JudgedTrial, OpenArm, TrialJob, TrialResult, run_trial

Place = tuple[str, int]
"""The place of a trial in its batch: `Ask.place`."""

_LOOK_EVERY = 25
_MAX_CONNECT_FAILURES = 3


class _Faulty(Exception):
    """The endpoint is not healthy, so the asks of this batch are worth nothing."""


@dataclass(slots=True)
class Asking:
    """A batch of asks under way.

    Attributes:
        arms: by request_id. The run of each is made, and is stored with its first trial.
        asks: what to ask, in this order. Each ask has its index among all asks of the batch,
            earlier ones included.
        suite: the suite of all asks.
        batch: what messages call the batch.
        health: the health of the endpoints, looked at after every so many asks whatever their
            outcomes. None when nobody judges the server.
        refusals: what the server refused so far, by request_id.
        done: the committed trials, in order.
        stopped: the cap that ended the batch early, if one did.
        carries_on: a server that only fails ends the batch of its arm, and not the command.
    """

    desk: Desk
    arms: Mapping[str, OpenArm]
    asks: Sequence[tuple[int, Ask]]
    suite: Suite
    batch: Literal["run", "block"]
    health: Health | None = None
    refusals: Mapping[str, Refusals] = field(default_factory=dict)
    done: dict[Place, JudgedTrial] = field(default_factory=dict)
    stopped: str | None = None
    carries_on: bool = False
    _given_up: dict[str, EndpointError] = field(default_factory=dict)  # by run: why its server is not asked on
    _answering: set[str] = field(default_factory=set)  # models that replied before
    _free: set[str] = field(default_factory=set)  # trials that are not asked, and so count for no cap
    _in_flight: dict[str, TrialJob] = field(default_factory=dict)
    _replied: bool = False
    _connect_failures: int = 0

    async def make(self) -> str | None:
        """Make the asks, as far as the budget goes.

        When it is cancelled or fails, committed trials stay and the runs are marked as interrupted.
        Otherwise the caller appends the records of `closing`.

        Returns:
            What is wrong with the endpoint; None when nothing is.

        Raises:
            EndpointError: an error that every trial would meet, such as no server or a wrong key.
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
            # The first error is worth more than a second one from this append. The next start writes the end.
            with suppress(StoreError):
                await context.ledger.append(self.closing(reason))
            raise
        return None

    def closing(self, reason: str) -> tuple[Record, ...]:
        """The records that end the runs. reason: why the trials in flight are abandoned."""
        ledger, now = self.desk.context.ledger, self.desk.context.now()
        if self._in_flight:
            for _ in self._in_flight.keys() - self._free:
                self.desk.meter.release()
            self._in_flight.clear()
            ends = (record for arm in self.arms.values() for record in closing_records(ledger, arm.run, now, reason))
            return tuple(self._with_cause(record) for record in ends)
        made = Counter(request_id for request_id, _ in self.done)
        return tuple(run_end(arm.run, made[request_id], now) for request_id, arm in self.arms.items())

    def _with_cause(self, record: Record) -> Record:
        """The end of a run that its server failed from its beginning says so."""
        error = self._given_up.get(record.run_id) if isinstance(record, RunEnd) and self.batch == "run" else None
        if error is None:
            return record
        return record.model_copy(update={"fault": error.kind, "cause": error.cause, "said": error.said or str(error)})

    def _jobs(self) -> Iterator[TrialJob]:
        """Jobs, for as long as the budget lasts."""
        prompts = {prompt.id: prompt for prompt in self.suite.prompts}
        for index, ask in self.asks:
            prompt = prompts[ask.prompt_id]
            job = TrialJob(new_id("trial"), self.arms[ask.arm], ask, prompt, self.suite.tools_of(prompt), index)
            if self._refused(job) is not None:
                self._free.add(job.trial_id)
            elif not self.desk.meter.reserve():
                self.stopped = self.desk.meter.stop_reason
                return
            yield job

    async def _measure(self, job: TrialJob, slot: int) -> TrialResult:
        """Make one trial."""
        if self.health is not None and job.index and job.index % _LOOK_EVERY == 0:
            await self._require_health()
        arm, desk = job.arm, self.desk
        desk.board.at(arm.spec.label, arm.run.run_index)
        desk.board.prompt_id = job.prompt.id
        if (refusals := self._refused(job)) is not None:
            return refusals.left_out(job, slot, desk.context.now())
        result = await (job.make or run_trial)(job, slot)
        if (seen := self.refusals.get(job.ask.arm)) is not None:
            seen.look(job, result)
        trial = result.judged.trial
        cost = desk.context.price_for(arm.spec, trial.usage, trial.busy_ms / 1000)
        desk.meter.charge(trial.usage, cost, arm.spec.model, replied=result.error is None)
        await self._look_at(result)
        self._require_replies(arm, seen, result)
        return result

    def _refused(self, job: TrialJob) -> Refusals | None:
        """The refusals for which a trial is not asked; None when it is."""
        seen = self.refusals.get(job.ask.arm)
        return seen if seen is not None and seen.covers(job) else None

    async def _look_at(self, result: TrialResult) -> None:
        """End the batch on an error that every other trial would meet too.

        Such a trial is not scored.
        """
        error = result.error
        if error is None:
            self._replied = True
            self._connect_failures = 0
        elif _hits_every_trial(error):
            raise error
        elif error.kind == "connect" and result.judged.trial.fault == "error":
            self._connect_failures += 1
            if not self._replied or self._connect_failures >= _MAX_CONNECT_FAILURES:
                await self._require_health()
                raise error

    def _require_replies(self, arm: OpenArm, seen: Refusals | None, result: TrialResult) -> None:
        """End the command where the server only fails. A variant that it fails at ends its pass alone."""
        silence = self.desk.meter.silence
        # A variant may be too slow for the timeout. That tells nothing of a server that answers others.
        if result.judged.trial.fault != "timeout" or not self._answered_before(arm):
            silence.look(result.judged.trial, replied=result.error is None)
        if self.carries_on or result.error is None:
            return
        failing = seen.of_server if seen is not None else None
        if failing is not None and (is_overloaded(failing) or not self._answered_before(arm)):
            self._given_up[arm.run.run_id] = failing
            raise only_fails(failing)
        if silence.lasts:
            raise only_fails(result.error)

    def _answered_before(self, arm: OpenArm) -> bool:
        """Whether this model has replied to anything in the cycle, or in the group of the run."""
        run, ledger = arm.run, self.desk.context.ledger
        if run.model in self._answering:
            return True
        where = ("group_id", run.group_id) if run.cycle_id is None else ("cycle_id", run.cycle_id)
        runs = ledger.read(Run, {where[0]: where[1] or ""})
        mine = (trial for one in runs if one.model == run.model for trial in ledger.read(Trial, {"run_id": one.run_id}))
        if any(trial.fault in (None, "truncated") for trial in mine):
            self._answering.add(run.model)
        return run.model in self._answering

    async def _require_health(self) -> None:
        if self.health is not None and await self.health.problem() is not None:
            raise _Faulty

    def _start(self, job: TrialJob, slot: int) -> TrialStart:
        """The record that a trial is about to use its slot."""
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
        if result.judged.trial.asked:
            self.desk.meter.commit()
        elif job.trial_id not in self._free:
            self.desk.meter.release()
        self.desk.board.committed(job.prompt.id, result.judged.verdict.outcome)


def _hits_every_trial(error: EndpointError) -> bool:
    """Whether no spec of this model would be served: a wrong key, an unknown model, no credit."""
    unknown = error.kind == "not_found" and error.cause in (None, "not_loaded")
    return error.kind == "auth" or unknown or error.cause in ("payment", "unknown_model")
