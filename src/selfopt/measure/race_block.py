"""One block of a race: the trials of several specs shuffled together, durable one by one, continued where it was cut off.

Whether a fault of the server hit the block is asked of the endpoint's health at fixed places of the order (before, every so many
trials, after), whatever came of the trials: a look that failures alone would trigger could drop the blocks in which one spec fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from selfopt.errors import EndpointError, EvidenceError, StoreError
from selfopt.records import (
    Environment,
    Record,
    Run,
    RunEnd,
    Spec,
    Suite,
    Trial,
    TrialStart,
    new_id,
)

from .executor import AsyncExecutor, Work
from .health import Health
from .lookup import find
from .race_arm import Arm, RunLabels, WarmUps, open_arms
from .rescore import ensure_verdicts
from .resume import KILLED, closing_records
from .run import Desk
from .trial import JudgedTrial, TrialJob, TrialResult, run_trial

__all__ = ["Asked", "BlockOrder", "BlockResult", "block_state", "measure_block"]

_LOOK_EVERY = 25
_MAX_CONNECT_FAILURES = 3


class Asked(Protocol):
    """One trial of a block's plan, such as `selfopt.policy.Ask`."""

    @property
    def draw(self) -> int:
        """Which of the block's draws."""
        ...

    @property
    def prompt_id(self) -> str:
        """The prompt drawn."""
        ...

    @property
    def request_id(self) -> str:
        """Which requests are made of it."""
        ...

    @property
    def repeat(self) -> int:
        """Which of its answers, from 0."""
        ...


@dataclass(frozen=True, slots=True)
class BlockOrder:
    """What to ask. block_id: of the block, number: among the race's; discards: how often it was dropped before; asks: in the order
    of asking; specs: under whose name each request_id is asked; suite: that of all of them."""

    block_id: str
    number: int
    discards: int
    asks: Sequence[Asked]
    specs: Mapping[str, Spec]
    suite: Suite
    cycle_id: str | None = None

    @property
    def group_id(self) -> str:
        """Ties the runs of this block together; a block that is repeated has another."""
        return self.block_id if self.discards == 0 else f"{self.block_id}/{self.discards}"

    def places(self) -> list[tuple[str, int]]:
        """(request_id, position within its run) of each trial: by draw, then repeat."""
        times: Counter[str] = Counter()
        for ask in self.asks:
            times[ask.request_id] = max(times[ask.request_id], ask.repeat + 1)
        return [(ask.request_id, ask.draw * times[ask.request_id] + ask.repeat) for ask in self.asks]


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What came of it. fault: what the endpoint's health said against it; stopped: the cap that cut it off; with neither it is complete.

    trials: by request_id in the order of draws and repeats, complete or not; closing: the records that end its runs, for the caller
    to append together with what it makes of the block; environments: by request_id, the newest that was seen.
    """

    trials: Mapping[str, tuple[JudgedTrial, ...]]
    closing: tuple[Record, ...]
    environments: Mapping[str, Environment]
    fault: str | None = None
    stopped: str | None = None

    def trial_ids(self) -> tuple[str, ...]:
        """Of all specs."""
        return tuple(item.trial.trial_id for each in self.trials.values() for item in each)

    async def judged(self, desk: Desk, spec: Spec, suite: Suite) -> tuple[JudgedTrial, ...]:
        """Its trials under a spec's own parsers. EvidenceError when one of them cannot be judged so."""
        mine = self.trials[spec.request_id]
        parser_hash = spec.variant.parser_hash
        if all(item.verdict.parser_hash == parser_hash for item in mine):
            return mine
        found = await ensure_verdicts(desk.context.ledger, spec, suite, [item.trial for item in mine])
        if found.skipped:
            raise EvidenceError(
                f"{len(found.skipped)} replies cannot be judged as {spec.label} would (such as trial {found.skipped[0]}): "
                "it asks for requests that were never made; race it without the spec that it shares replies with"
            )
        return found.trials


@dataclass(slots=True)
class _State:
    """What the ledger has of a block."""

    runs: list[Run] = field(default_factory=list)
    trials: dict[tuple[str, int], Trial] = field(default_factory=dict)


async def block_state(desk: Desk, group_id: str) -> _State:
    """The runs and trials of a block; those that a dead process left open are closed, their started trials marked as abandoned."""
    ledger, state = desk.context.ledger, _State()
    closing: list[Record] = []
    for run in ledger.read(Run, {"group_id": group_id}):
        state.runs.append(run)
        committed = {trial.position: trial for trial in ledger.read(Trial, {"run_id": run.run_id})}
        state.trials.update(((run.request_id, position), trial) for position, trial in committed.items())
        if find(ledger, RunEnd, run.run_id) is None:
            closing += closing_records(ledger, run, desk.context.now(), KILLED)
    if closing:
        await ledger.append(closing)
    return state


@dataclass(frozen=True, slots=True)
class _Job(TrialJob):
    """A trial of one arm. index: its place in the block's order."""

    request_id: str = ""
    index: int = 0


class _Faulty(Exception):
    """The endpoint's health says that this block is lost."""


@dataclass(slots=True)
class _Block:
    """A block under way."""

    desk: Desk
    order: BlockOrder
    arms: Mapping[str, Arm]
    health: Health
    waiting: Sequence[tuple[int, Asked, int]]
    done: dict[tuple[str, int], JudgedTrial]
    counts: Counter[str] = field(default_factory=Counter)
    in_flight: dict[str, TrialJob] = field(default_factory=dict)
    of: dict[str, str] = field(default_factory=dict)
    stopped: str | None = None
    replied: bool = False
    connect_failures: int = 0

    def jobs(self) -> Iterator[TrialJob]:
        """Jobs for as long as the budget lasts."""
        prompts = {prompt.id: prompt for prompt in self.order.suite.prompts}
        for index, ask, position in self.waiting:
            if not self.desk.meter.reserve():
                self.stopped = self.desk.meter.stop_reason
                return
            prompt = prompts[ask.prompt_id]
            job = _Job(new_id("trial"), position, prompt, self.order.suite.tools_of(prompt), ask.request_id, index)
            self.of[job.trial_id] = ask.request_id
            yield job

    async def measure(self, job: TrialJob, slot: int) -> TrialResult:
        """One trial, of whichever arm."""
        assert isinstance(job, _Job)
        if job.index and job.index % _LOOK_EVERY == 0 and await self.health.problem() is not None:
            raise _Faulty
        arm = self.arms[job.request_id]
        self.desk.board.at(arm.spec.label, self.order.number)
        self.desk.board.prompt_id = job.prompt.id
        result = await run_trial(arm.channel, arm.facts, job, slot)
        usage = result.judged.trial.usage
        self.desk.meter.charge(usage, self.desk.context.price_for(arm.spec, usage), arm.spec.model)
        await self._look_at(result)
        return result

    async def _look_at(self, result: TrialResult) -> None:
        """What would befall every trial ends the block: an error goes on to the caller unless the endpoint is not there at all."""
        error = result.error
        if error is None:
            self.replied = True
            self.connect_failures = 0
        elif error.kind in ("auth", "not_found"):
            raise error
        elif error.kind == "connect" and result.judged.trial.fault == "error":
            self.connect_failures += 1
            if not self.replied or self.connect_failures >= _MAX_CONNECT_FAILURES:
                if await self.health.problem() is not None:
                    raise _Faulty
                raise error

    def start(self, job: TrialJob, slot: int) -> TrialStart:
        """The record that says that a trial is about to use its slot."""
        return TrialStart(
            trial_id=job.trial_id,
            run_id=self._arm_of(job).run.run_id,
            prompt_id=job.prompt.id,
            run_index=self.order.number,
            slot=slot,
            at=self.desk.context.now(),
        )

    def _arm_of(self, job: TrialJob) -> Arm:
        return self.arms[self.of[job.trial_id]]

    def committed(self, job: TrialJob, result: TrialResult) -> None:
        """Count a durable trial."""
        request_id = self.of[job.trial_id]
        self.done[request_id, job.position] = result.judged
        self.counts[request_id] += 1
        self.desk.meter.commit()
        self.desk.board.committed(job.prompt.id, result.outcome)

    def closing(self, reason: str) -> tuple[Record, ...]:
        """How the runs ended; trials in flight are marked as abandoned."""
        now, ledger = self.desk.context.now(), self.desk.context.ledger
        for _ in range(len(self.in_flight)):
            self.desk.meter.release()
        if self.in_flight:
            self.in_flight.clear()
            return tuple(record for arm in self.arms.values() for record in closing_records(ledger, arm.run, now, reason))
        records: list[Record] = []
        for request_id, arm in self.arms.items():
            whole = self.counts[request_id] == len(arm.run.prompt_ids)
            status: Literal["complete", "interrupted"] = "complete" if whole else "interrupted"
            records.append(RunEnd(run_id=arm.run.run_id, status=status, trials=self.counts[request_id], at=now))
        return tuple(records)


async def measure_block(desk: Desk, order: BlockOrder, *, warm_up: bool, warmed: WarmUps) -> BlockResult:
    """Ask everything that the ledger does not have yet. warm_up: make every arm ready first, unscored, even if the model is loaded;
    warmed: warm-ups that were made just before, for the record.

    Raises EndpointError for what would befall every trial of a healthy endpoint, and StoreError; cancelling and both leave a block that
    the same call completes.
    """
    state = await block_state(desk, order.group_id)
    places = order.places()
    waiting = [
        (index, ask, place[1])
        for index, (ask, place) in enumerate(zip(order.asks, places, strict=True))
        if place not in state.trials
    ]
    done = await _resumed(desk, order, state)
    desk.board.total += len(order.asks)
    desk.board.done += len(done)
    environments = _environments(desk, state)
    if not waiting:
        return BlockResult(_in_order(order, done), (), environments)
    arms = await open_arms(desk, order.specs, order.suite, _wanted(waiting), _labels(order, warmed), always=warm_up)
    environments |= {request_id: arm.environment for request_id, arm in arms.items()}
    health = Health(desk, arms)
    if health.found is not None:
        return BlockResult(_in_order(order, done), (), environments, health.found)
    block = _Block(desk, order, arms, health, waiting, done)
    fault = await _execute(block)
    if fault is None and block.stopped is None:
        fault = await health.problem()
    closing = block.closing(f"the block was given up: {fault or block.stopped}")
    return BlockResult(_in_order(order, done), closing, environments, fault, None if fault else block.stopped)


def _wanted(waiting: Sequence[tuple[int, Asked, int]]) -> dict[str, tuple[str, ...]]:
    """The prompts that each request_id still has to answer, in the order of asking."""
    found: dict[str, list[str]] = {}
    for _, ask, _ in waiting:
        found.setdefault(ask.request_id, []).append(ask.prompt_id)
    return {request_id: tuple(prompts) for request_id, prompts in found.items()}


def _labels(order: BlockOrder, warmed: WarmUps) -> RunLabels:
    return RunLabels(order.group_id, order.number, order.cycle_id, warmed)


async def _resumed(desk: Desk, order: BlockOrder, state: _State) -> dict[tuple[str, int], JudgedTrial]:
    """What the ledger has, judged as the specs do under whose name it was asked."""
    found: dict[tuple[str, int], JudgedTrial] = {}
    for request_id, spec in order.specs.items():
        mine = {trial.trial_id: place for place, trial in state.trials.items() if place[0] == request_id}
        trials = [trial for place, trial in state.trials.items() if place[0] == request_id]
        judged = (await ensure_verdicts(desk.context.ledger, spec, order.suite, trials)).trials if trials else ()
        found.update((mine[item.trial.trial_id], item) for item in judged)
    return found


def _in_order(order: BlockOrder, done: Mapping[tuple[str, int], JudgedTrial]) -> dict[str, tuple[JudgedTrial, ...]]:
    found: dict[str, list[JudgedTrial]] = {request_id: [] for request_id in order.specs}
    for place in sorted(done):
        found[place[0]].append(done[place])
    return {request_id: tuple(items) for request_id, items in found.items()}


def _environments(desk: Desk, state: _State) -> dict[str, Environment]:
    """The newest environment of each request_id."""
    newest = {run.request_id: run.environment_id for run in state.runs}
    found = {request_id: find(desk.context.ledger, Environment, i) for request_id, i in newest.items()}
    return {request_id: environment for request_id, environment in found.items() if environment is not None}


async def _execute(block: _Block) -> str | None:
    context = block.desk.context
    prologue = [record for arm in block.arms.values() for record in arm.prologue]
    work = Work(
        jobs=block.jobs(),
        measure=block.measure,
        start=block.start,
        committed=block.committed,
        prologue=prologue,
        in_flight=block.in_flight,
    )
    slots = min(context.slots_for(arm.spec) for arm in block.arms.values())
    reason = "interrupted"
    try:
        await AsyncExecutor(context.ledger, slots).run(work)
    except _Faulty:
        return block.health.found
    except BaseException as error:
        if isinstance(error, EndpointError):
            reason = f"the block was given up: {error}"
        # What made it fail is worth more than that its end could not be written either; the next start writes it.
        with suppress(StoreError):
            await context.ledger.append(block.closing(reason))
        raise
    return None
