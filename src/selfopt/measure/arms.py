"""Makes arms ready: warms up their models and opens their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from selfopt.records import (
    Blob,
    ChatRequest,
    Environment,
    Message,
    ModelStatus,
    ReplyContent,
    Run,
    Spec,
    Suite,
    WarmUp,
    WarmUpResult,
    new_id,
)
from selfopt.scoring import scorer_of
from selfopt.variants import options_of, render

from .attempt import NOT_LOADED, Channel, ResidencyWatch, status_of
from .context import Desk, Labels, MeasureContext
from .lookup import find
from .trial import Embeds, Judge, OpenArm, make_request

WARM_UP_PROMPT = "What is 2+2?"


WarmUps = Mapping[str, tuple[WarmUpResult, Sequence[Blob]]]
"""By request_id: the result of a warm-up, and the blobs that it refers to."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of a spec's model just before it is asked.

    Attributes:
        status: what the server says of the model.
        warm_up: the warm-up that led to this state.
        blobs: those that the warm-up refers to.
    """

    status: ModelStatus
    warm_up: WarmUpResult
    blobs: Sequence[Blob] = ()


async def model_status(desk: Desk, spec: Spec) -> ModelStatus:
    """Ask the server of a spec for the state of its model."""
    status = await status_of(desk.context.residency_for(spec), desk.context.model_name_for(spec))
    source = desk.context.embedding_for(spec)
    if source is None:
        return status
    digest = (await status_of(source.residency, source.model)).digest
    return status.model_copy(update={"embedding_digest": digest})


def observe(spec: Spec, status: ModelStatus, hardware: str) -> Environment:
    """The environment that a server's status describes."""
    return Environment(
        endpoint=spec.endpoint,
        model=spec.model,
        digest=status.digest,
        quantization=status.quantization,
        template_hash=status.template_hash,
        engine=status.engine,
        engine_build=status.engine_build,
        slots=status.slots,
        context_size=status.context_size,
        hardware=hardware,
        embedding_digest=status.embedding_digest,
    )


async def observed(desk: Desk, spec: Spec) -> Environment:
    """Ask what serves a spec now."""
    return observe(spec, await model_status(desk, spec), desk.context.hardware)


async def warm_up(desk: Desk, spec: Spec, suite: Suite, policy: WarmUp) -> tuple[WarmUpResult, Sequence[Blob]]:
    """Load a spec's model and make it ready for the requests to come.

    Returns the result and the blobs it refers to.
    """
    context, model = desk.context, desk.context.model_name_for(spec)
    return await context.warm_up(
        context.endpoint_for(spec),
        context.residency_for(spec),
        model,
        warm_up_requests(spec, suite, model),
        policy,
        context.clock,
    )


def warm_up_requests(spec: Spec, suite: Suite, model: str) -> tuple[ChatRequest, ...]:
    """One warm-up request of each sort that the spec's variant makes.

    Each asks "What is 2+2?" with the tools of the suite's first prompt. That compiles the template
    and fills the prompt cache with what the scored requests share. A variant that chooses a tool
    first also asks for the arguments of the first tool, because its examples differ there.
    """
    prompt = suite.select(spec.split)[0]
    tools = suite.tools_of(prompt)
    steps = render(spec.variant, (Message(role="user", content=WARM_UP_PROMPT),), tools)
    requests = [make_request(spec, model, next(steps), isolate=False)]
    with suppress(StopIteration):
        requests.append(make_request(spec, model, steps.send(ReplyContent(text=tools[0].name)), isolate=False))
    steps.close()
    return tuple(requests)


async def ready(
    desk: Desk, specs: Sequence[Spec], suite: Suite, *, always: bool, before: WarmUps | None = None
) -> dict[str, Readiness]:
    """Make all specs of a race equally ready, whatever they say about warm-up.

    No spec may wait for a load.

    Args:
        always: warm all of them up even if every model is loaded.
        before: earlier warm-ups, which are recorded for specs that are not warmed up now.
    """
    statuses = await _statuses(desk, specs)
    warmed = dict(before or {})
    if always or any(status.state in NOT_LOADED for status in statuses.values()):
        for spec in specs:
            desk.board.tell("warm_up", "warming up")
            warmed[spec.request_id] = await warm_up(desk, spec, suite, spec.warm_up.model_copy(update={"enabled": True}))
        statuses = await _statuses(desk, specs)
    needless = (WarmUpResult(status="skipped", reason="the model is loaded"), ())
    return {s.request_id: Readiness(statuses[_served_by(s)], *warmed.get(s.request_id, needless)) for s in specs}


async def _statuses(desk: Desk, specs: Sequence[Spec]) -> dict[tuple[str, str, str], ModelStatus]:
    """The status of what serves each spec, by `_served_by`. Each is asked once."""
    one_each = {_served_by(spec): spec for spec in specs}
    return {where: await model_status(desk, spec) for where, spec in one_each.items()}


def _served_by(spec: Spec) -> tuple[str, str, str]:
    """Endpoint, model and embedding model of a spec."""
    return spec.endpoint, spec.model, options_of(spec.variant).embedding


def open_arm(
    desk: Desk,
    spec: Spec,
    suite: Suite,
    prompt_ids: Sequence[str],
    run_index: int,
    labels: Labels,
    readiness: Readiness,
    *,
    isolate: bool = False,
) -> OpenArm:
    """Open an arm with a new run over these prompts.

    isolate: in isolation, whatever the spec says.
    """
    context = desk.context
    environment = observe(spec, readiness.status, context.hardware)
    run = Run(
        run_id=new_id("run"),
        spec_id=spec.spec_id,
        request_id=spec.request_id,
        environment_id=environment.environment_id,
        requested_model=labels.requested_model or spec.model,
        model=spec.model,
        phase=spec.phase,
        suite=spec.suite,
        split=spec.split,
        run_index=run_index,
        purpose=labels.purpose,
        prompt_ids=tuple(prompt_ids),
        group_id=labels.group_id,
        cycle_id=labels.cycle_id,
        rule_id=labels.rule_id,
        forced=labels.forced,
        overrides=labels.overrides,
        warm_up=readiness.warm_up,
        family=readiness.status.family,
        concurrency=context.slots_for(spec),
        at=context.now(),
    )
    # A spec that is in the ledger under another variant name is the same spec.
    inputs = (spec, environment)
    missing = [one for one in inputs if not (one.record_id in desk.stored or find(context.ledger, type(one), one.record_id))]
    desk.stored.update(one.record_id for one in inputs)
    model = context.model_name_for(spec)
    watch = ResidencyWatch(context.residency_for(spec), model, context.clock, context.idle_s, first=readiness.status.state)
    return OpenArm(
        spec=spec,
        run=run,
        judge=Judge(scorer_of(suite.judging), spec.variant.parsers, spec.variant.parser_hash, run.family),
        model=model,
        isolate=isolate or spec.isolate,
        channel=Channel(context.endpoint_for(spec), watch, context),
        environment=environment,
        status=readiness.status,
        prologue=(*missing, *readiness.blobs, run),
        logprobs=context.logprobs_for(spec),
        embeds=_embeds(context, spec),
    )


def _embeds(context: MeasureContext, spec: Spec) -> Embeds | None:
    """How a spec's trials reach its embedding model."""
    source = context.embedding_for(spec)
    if source is None:
        return None
    watch = ResidencyWatch(source.residency, source.model, context.clock, context.idle_s)
    return Embeds(Channel(source.endpoint, watch, context), source.model)
