"""One spec of a race while a block is measured: warmed up like every other, with a run of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfopt.records import Blob, Environment, ModelStatus, Record, Run, Spec, Suite, WarmUpResult, new_id
from selfopt.scoring import scorer_of

from .attempt import Channel, ResidencyWatch, status_of
from .environment import observe
from .run import Desk, stored_with, warm_up_requests
from .trial import PassFacts

__all__ = ["Arm", "RunLabels", "WarmUps", "Where", "open_arms", "ready"]

Where = tuple[str, str]
WarmUps = dict[str, tuple[WarmUpResult, Sequence[Blob]]]
_NOT_LOADED = ("unloaded", "sleeping", "loading")


@dataclass(frozen=True, slots=True)
class RunLabels:
    """What is written into the runs of a block beside the spec. warmed: warm-ups made just before, by request_id."""

    group_id: str
    number: int
    cycle_id: str | None
    warmed: WarmUps


@dataclass(frozen=True, slots=True)
class Arm:
    """spec: under whose name is asked; status: of its model, after the warm-up; prologue: what has to be durable before its first trial."""

    spec: Spec
    run: Run
    facts: PassFacts
    channel: Channel
    environment: Environment
    status: ModelStatus
    prologue: tuple[Record, ...]

    @property
    def where(self) -> Where:
        """Endpoint and model: arms that share them share their health."""
        return self.spec.endpoint, self.spec.model


async def ready(desk: Desk, specs: Sequence[Spec], suite: Suite, *, always: bool) -> tuple[dict[Where, ModelStatus], WarmUps]:
    """Make every spec alike ready: warmed up all of them, or none where that is not needed. Status by endpoint and model after it,
    and warm-ups by request_id. always: also where every model is loaded."""
    statuses = await _statuses(desk, specs)
    if not always and all(status.state not in _NOT_LOADED for status in statuses.values()):
        return statuses, {}
    warmed = {spec.request_id: await _warm_up(desk, spec, suite) for spec in specs}
    return await _statuses(desk, specs), warmed


async def _statuses(desk: Desk, specs: Sequence[Spec]) -> dict[Where, ModelStatus]:
    context, found = desk.context, dict[Where, ModelStatus]()
    for spec in specs:
        if (spec.endpoint, spec.model) not in found:
            status = await status_of(context.residency_for(spec), context.model_name_for(spec))
            found[spec.endpoint, spec.model] = status
    return found


async def _warm_up(desk: Desk, spec: Spec, suite: Suite) -> tuple[WarmUpResult, Sequence[Blob]]:
    """Whatever the spec says about warm-up: in a race nobody may be the one who waits for the load."""
    context, model = desk.context, desk.context.model_name_for(spec)
    desk.board.tell("warm_up", "warming up for the race")
    return await context.warm_up(
        context.endpoint_for(spec),
        context.residency_for(spec),
        model,
        warm_up_requests(spec, suite, model),
        spec.warm_up.model_copy(update={"enabled": True}),
        context.clock,
    )


async def open_arms(
    desk: Desk,
    specs: Mapping[str, Spec],
    suite: Suite,
    prompts: Mapping[str, tuple[str, ...]],
    labels: RunLabels,
    *,
    always: bool,
) -> dict[str, Arm]:
    """The arms that have prompts to answer, by request_id. always: see `ready`."""
    asked = [spec for request_id, spec in specs.items() if request_id in prompts]
    statuses, warmed = await ready(desk, asked, suite, always=always)
    warmed = labels.warmed | warmed
    arms = {}
    for spec in asked:
        warm, blobs = warmed.get(spec.request_id, (WarmUpResult(status="skipped", reason="the model is loaded"), ()))
        status = statuses[spec.endpoint, spec.model]
        arms[spec.request_id] = _arm(desk, spec, suite, prompts[spec.request_id], labels, status, (warm, blobs))
    return arms


def _arm(
    desk: Desk,
    spec: Spec,
    suite: Suite,
    prompts: tuple[str, ...],
    labels: RunLabels,
    status: ModelStatus,
    warmed: tuple[WarmUpResult, Sequence[Blob]],
) -> Arm:
    context = desk.context
    environment = observe(spec, status, context.hardware)
    run = Run(
        run_id=new_id("run"),
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id=environment.environment_id,
        requested_model=spec.model,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        split=spec.split,
        run_index=labels.number,
        purpose="race",
        prompt_ids=prompts,
        group_id=labels.group_id,
        cycle_id=labels.cycle_id,
        warm_up=warmed[0],
        at=context.now(),
    )
    facts = PassFacts(
        spec=spec,
        scorer=scorer_of(suite.judging),
        run_id=run.run_id,
        environment_id=environment.environment_id,
        run_index=labels.number,
        model=context.model_name_for(spec),
        isolate=spec.isolate,
        parser_hash=spec.variant.parser_hash,
        request_id=spec.request_id,
    )
    residency = context.residency_for(spec)
    watch = ResidencyWatch(residency, facts.model, context.clock, context.idle_s, first=status.state)
    channel = Channel(context.endpoint_for(spec), watch, context.clock, context.sleep, context.rng, context.now, context.backoff)
    prologue = stored_with(desk, spec, environment, [*warmed[1], run])
    return Arm(spec, run, facts, channel, environment, status, tuple(prologue))
