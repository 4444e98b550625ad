"""One pass over prompts: residency and environment, warm-up, the trials, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Literal

from selfopt.errors import EndpointError, StoreError
from selfopt.records import (
    Blob,
    ChatRequest,
    Environment,
    Message,
    Prompt,
    Record,
    ReplyContent,
    Run,
    RunEnd,
    Spec,
    Suite,
    TrialStart,
    WarmUpResult,
    new_id,
)
from selfopt.scoring import scorer_of
from selfopt.variants import render

from .attempt import Channel, ResidencyWatch, State, status_of
from .budget import BudgetMeter
from .context import Labels, MeasureContext
from .environment import observe
from .executor import AsyncExecutor, Work
from .lookup import find
from .progress import Board
from .resume import closing_records
from .trial import JudgedTrial, PassFacts, TrialJob, TrialResult, make_request, run_trial

__all__ = ["Desk", "PassPlan", "PassResult", "run_pass", "stored_with", "warm_up_requests"]

WARM_UP_PROMPT = "What is 2+2?"

_MAX_CONNECT_FAILURES = 3


@dataclass(frozen=True, slots=True)
class PassPlan:
    """What one pass is to do. prompts: (position, prompt) of those still to be measured, in the order of asking.

    isolate: in isolation whatever the spec says. warm_up: "first" warms up where the spec wants it, "if_unloaded" only
    when the model is not loaded, "never" not at all.
    """

    spec: Spec
    suite: Suite
    prompts: tuple[tuple[int, Prompt], ...]
    run_index: int
    labels: Labels
    isolate: bool = False
    warm_up: Literal["first", "if_unloaded", "never"] = "first"


@dataclass(frozen=True, slots=True)
class PassResult:
    """What one pass did. residency: the model's state before the pass (before its warm-up, if there was one).
    stop_reason: the cap that ended it early, if one did."""

    run: Run
    environment: Environment
    residency: State
    trials: tuple[JudgedTrial, ...]
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a measurement is kept track of: the parts, what may be spent, and who is told. stored: ids of the specs and
    environments that the ledger is known to have."""

    context: MeasureContext
    meter: BudgetMeter
    board: Board
    stored: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Pass:
    """A pass under way."""

    desk: Desk
    plan: PassPlan
    run: Run
    facts: PassFacts
    channel: Channel
    trials: list[JudgedTrial] = field(default_factory=list)
    in_flight: dict[str, TrialJob] = field(default_factory=dict)
    stop_reason: str | None = None
    replied: bool = False
    connect_failures: int = 0

    def jobs(self) -> Iterator[TrialJob]:
        """Jobs for as long as the budget lasts."""
        for position, prompt in self.plan.prompts:
            if not self.desk.meter.reserve():
                self.stop_reason = self.desk.meter.stop_reason
                return
            yield TrialJob(new_id("trial"), position, prompt, self.plan.suite.tools_of(prompt))

    async def measure(self, job: TrialJob, slot: int) -> TrialResult:
        """One trial. An error that would befall every other trial too ends the pass instead of being scored."""
        self.desk.board.prompt_id = job.prompt.id
        result = await run_trial(self.channel, self.facts, job, slot)
        spec, usage, error = self.plan.spec, result.judged.trial.usage, result.error
        self.desk.meter.charge(usage, self.desk.context.price_for(spec, usage), spec.model)
        if error is None:
            self.replied = True
            self.connect_failures = 0
        elif error.kind in ("auth", "not_found"):
            raise error
        elif error.kind == "connect" and result.judged.trial.fault == "error":
            self.connect_failures += 1
            if not self.replied or self.connect_failures >= _MAX_CONNECT_FAILURES:
                raise error
        return result

    def start(self, job: TrialJob, slot: int) -> TrialStart:
        """The record that says that a trial is about to use its slot."""
        return TrialStart(
            trial_id=job.trial_id,
            run_id=self.run.run_id,
            prompt_id=job.prompt.id,
            run_index=self.plan.run_index,
            slot=slot,
            at=self.desk.context.now(),
        )

    def committed(self, job: TrialJob, result: TrialResult) -> None:
        """Count a durable trial."""
        self.trials.append(result.judged)
        self.desk.meter.commit()
        self.desk.board.committed(job.prompt.id, result.outcome)

    async def end(self, reason: str) -> None:
        """Write how the pass ended; trials in flight are marked as abandoned."""
        context = self.desk.context
        now = context.now()
        for _ in range(len(self.in_flight)):
            self.desk.meter.release()
        if self.in_flight:
            self.in_flight.clear()
            await context.ledger.append(closing_records(context.ledger, self.run, now, reason))
            return
        complete = len(self.trials) == len(self.plan.prompts)
        status: Literal["complete", "interrupted"] = "complete" if complete else "interrupted"
        await context.ledger.append([RunEnd(run_id=self.run.run_id, status=status, trials=len(self.trials), at=now)])


async def run_pass(desk: Desk, plan: PassPlan) -> PassResult:
    """Do one pass. When it is cancelled or fails, what is committed stays, the run is marked as interrupted, and the
    exception goes on: EndpointError for what would befall every trial (no server, wrong key, unknown model), StoreError
    when the ledger cannot be written."""
    context, spec = desk.context, plan.spec
    endpoint, residency = context.endpoint_for(spec), context.residency_for(spec)
    model = context.model_name_for(spec)
    desk.board.at(spec.label, plan.run_index)
    status = await status_of(residency, model)
    before: State = status.state
    warm, blobs = await _warm_up(desk, plan, before)
    if warm.status in ("complete", "failed"):
        status = await status_of(residency, model)
    environment = observe(spec, status, context.hardware)
    run = _make_run(context, plan, environment, warm)
    facts = PassFacts(
        spec=spec,
        scorer=scorer_of(plan.suite.judging),
        run_id=run.run_id,
        environment_id=environment.environment_id,
        run_index=plan.run_index,
        model=model,
        isolate=plan.isolate or spec.isolate,
        parser_hash=spec.variant.parser_hash,
        request_id=spec.request_id,
    )
    watch = ResidencyWatch(residency, model, context.clock, context.idle_s, first=status.state)
    channel = Channel(endpoint, watch, context.clock, context.sleep, context.rng, context.now, context.backoff)
    current = _Pass(desk, plan, run, facts, channel)
    work = Work(
        jobs=current.jobs(),
        measure=current.measure,
        start=current.start,
        committed=current.committed,
        prologue=stored_with(desk, spec, environment, [*blobs, run]),
        in_flight=current.in_flight,
    )
    desk.board.tell("run_started", f"residency {before}, warm-up {warm.status}")
    await _execute(current, work)
    desk.board.tell("run_ended" if current.stop_reason is None else "stopped", current.stop_reason or "")
    return PassResult(run, environment, before, tuple(current.trials), current.stop_reason)


async def _execute(current: _Pass, work: Work) -> None:
    context = current.desk.context
    reason, failed = "interrupted", True
    try:
        await AsyncExecutor(context.ledger, context.slots_for(current.plan.spec)).run(work)
        failed = False
    except EndpointError as error:
        reason = f"the run was given up: {error}"
        raise
    finally:
        # What made the run fail is worth more than that its end could not be written either; a resume writes it.
        with suppress(StoreError) if failed else nullcontext():
            await current.end(reason)


def warm_up_requests(spec: Spec, suite: Suite, model: str) -> tuple[ChatRequest, ...]:
    """One request of each sort that the spec's variant makes, of "What is 2+2?" with the tools of the suite's first prompt:
    they compile the template and fill the prompt cache with what the scored requests share.

    Where the variant chooses a tool first, the second one asks for the arguments of the first tool: its examples are others.
    """
    prompt = suite.select(spec.split)[0]
    tools = suite.tools_of(prompt)
    steps = render(spec.variant, (Message(role="user", content=WARM_UP_PROMPT),), tools)
    requests = [make_request(spec, model, next(steps), isolate=False)]
    with suppress(StopIteration):
        requests.append(make_request(spec, model, steps.send(ReplyContent(text=tools[0].name)), isolate=False))
    steps.close()
    return tuple(requests)


async def _warm_up(desk: Desk, plan: PassPlan, state: State) -> tuple[WarmUpResult, Sequence[Blob]]:
    spec, context = plan.spec, desk.context
    if not spec.warm_up.enabled:
        return WarmUpResult(status="off"), ()
    unloaded = state in ("unloaded", "sleeping")
    if plan.warm_up == "never" or (plan.warm_up == "if_unloaded" and not unloaded):
        return WarmUpResult(status="skipped", reason=f"not the first run; the model is {state}"), ()
    desk.board.tell("warm_up", "warming up")
    model = context.model_name_for(spec)
    result, blobs = await context.warm_up(
        context.endpoint_for(spec),
        context.residency_for(spec),
        model,
        warm_up_requests(spec, plan.suite, model),
        spec.warm_up,
        context.clock,
    )
    if plan.warm_up == "if_unloaded":
        result = result.model_copy(update={"reason": f"warmed up again: the model was {state}. {result.reason}".strip()})
    desk.board.tell("warm_up", f"Warm-up {result.status}")
    return result, blobs


def _make_run(context: MeasureContext, plan: PassPlan, environment: Environment, warm: WarmUpResult) -> Run:
    spec, labels = plan.spec, plan.labels
    return Run(
        run_id=new_id("run"),
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id=environment.environment_id,
        requested_model=labels.requested_model or spec.model,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        split=spec.split,
        run_index=plan.run_index,
        purpose=labels.purpose,
        prompt_ids=tuple(prompt.id for _, prompt in plan.prompts),
        group_id=labels.group_id,
        cycle_id=labels.cycle_id,
        rule_id=labels.rule_id,
        forced=labels.forced,
        overrides=labels.overrides,
        warm_up=warm,
        at=context.now(),
    )


def stored_with(desk: Desk, spec: Spec, environment: Environment, rest: Sequence[Record]) -> list[Record]:
    """The records, after spec and environment once each: a spec may be in the ledger under another variant name, which is the same spec."""
    inputs = (spec, environment)
    missing = [one for one in inputs if not (one.record_id in desk.stored or find(desk.context.ledger, type(one), one.record_id))]
    desk.stored.update(one.record_id for one in inputs)
    return [*missing, *rest]
