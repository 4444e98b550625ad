"""How a search begins: what it sets out from is kept, so that one that goes on is the same search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfopt.errors import SelfoptError, VariantError
from selfopt.measure.arms import model_status
from selfopt.measure.lookup import find
from selfopt.measure.observing import gives_logprobs
from selfopt.measure.trial import make_request
from selfopt.records import (
    Capability,
    CycleStart,
    Decision,
    Message,
    SearchEnd,
    SearchObjective,
    SearchStart,
    Spec,
    Suite,
    content_hash,
)
from selfopt.records.trial import EMBED_STEP
from selfopt.search.marks import Objective
from selfopt.search.proposers import SEARCHERS, WayProposer
from selfopt.search.proposers.queued import Queued
from selfopt.search.proposers.transfer import Transfer
from selfopt.search.search import Search, SearchPlan, spread
from selfopt.variants import RenderedStep, options_of
from selfopt.variants.options import embedded_by
from selfopt.variants.space import composed, point_from
from selfopt.words.searches import no_embeddings_text

from .beside import beside_of, made_for
from .context import LoopContext, LoopEvent
from .reflecting import NAME as REFLECTION
from .spending import names_of

_MOST_PRIORS = 12
_PROBE_S = 60.0  # an embedding model may have to be loaded


def search_id_of(cycle: CycleStart, baseline: Spec) -> str:
    """The id of the search of a cycle against a baseline."""
    return content_hash("search", [cycle.cycle_id, baseline.spec_id])


async def capabilities_of(context: LoopContext, baseline: Spec, *, text_only: bool) -> tuple[Capability, ...]:
    """What the server and the model of a baseline have, and whether the embedding model of the settings answers.

    The arguments are those of `search`.
    """
    desk, entry = context.measure.arena.desk, context.settings.endpoints[baseline.endpoint]
    has: dict[Capability, bool] = {
        "tools": not text_only,
        "grammar": entry.takes_grammars,
        "json_schema": entry.takes_any_schema,
        "logprobs": await gives_logprobs(desk, baseline),
        "temperature": entry.takes_temperature(desk.context.model_name_for(baseline)),
        "thinking": (await model_status(desk, baseline)).thinking is True,
        "embeddings": context.settings.models.embedding is not None and await _embeds(context, baseline),
    }
    return tuple(name for name, there in has.items() if there)


async def continued(context: LoopContext, start: SearchStart, baseline: Spec) -> SearchStart:
    """The beginning of a search that goes on, without embeddings where their model can't be asked any more."""
    if "embeddings" not in start.capabilities or await _embeds(context, baseline):
        return start
    return start.model_copy(update={"capabilities": tuple(one for one in start.capabilities if one != "embeddings")})


async def _embeds(context: LoopContext, baseline: Spec) -> bool:
    """Whether the embedding model of the settings embeds two short texts. The user is told why not."""
    desk = context.measure.arena.desk
    texts = tuple(Message(role="user", content=text) for text in ("What is the weather?", "get weather"))
    try:
        name = context.settings.embedding
        variant = embedded_by(composed({"keep_tools": "one", "tools_by": "meaning"}), name)
        source = desk.context.embedding_for(baseline.model_copy(update={"variant": variant}))
        if source is None:
            return False
        step = RenderedStep(step=EMBED_STEP, messages=texts, embedding=name or "")
        asked = make_request(baseline, source.model, step, isolate=False)
        await source.endpoint.chat(asked.model_copy(update={"timeout_s": min(baseline.timeout_s, _PROBE_S)}))
    except SelfoptError as error:
        context.say(LoopEvent("note", no_embeddings_text(str(error))))
        return False
    return True


def begun(
    context: LoopContext, cycle: CycleStart, baseline: Spec, most_requests: int, capabilities: tuple[Capability, ...]
) -> SearchStart:
    """The beginning of a search, not appended. capabilities: see `capabilities_of`."""
    suite = context.suite_for(baseline)
    # One order for a suite and its split, so that every search of it compares the same prompts first.
    prompt_ids = spread({prompt.id: (prompt.kind, prompt.tool_set) for prompt in suite.select(baseline.split)})
    # One way alone is asked on all prompts whatever it brings: what another is worth is for the rungs to say.
    first: tuple[dict[str, str], ...] = ({},) if "tools" in capabilities else ({"tools": "signatures"},)
    settings = context.settings.loop
    return SearchStart(
        search_id=search_id_of(cycle, baseline),
        cycle_id=cycle.cycle_id,
        model=baseline.model,
        phase=baseline.phase,
        baseline_spec_id=baseline.spec_id,
        suite_hash=baseline.suite_hash,
        split=baseline.split,
        prompt_ids=prompt_ids,
        capabilities=capabilities,
        start=first,
        seed=0,
        most_requests=most_requests,
        fresh=settings.search_fresh,
        objective=SearchObjective(restraint=context.settings.policy.restraint_min, **settings.objective.model_dump()),
        priors=priors(context, baseline),
        beside=beside_of(suite, settings.reflection.model),
        **_reflection(context),
        synthetic=suite.synthetic is not None,
        at=context.now(),
    )


def _reflection(context: LoopContext) -> dict[str, Any]:
    """The fields of a beginning that say who is asked for advice. None where nobody is."""
    wanted = context.settings.loop.reflection
    if wanted.model is None:
        return {}
    model = context.stages.resolve(wanted.model)
    return {"reflection": model, "reflection_backend": wanted.backend, "questions": wanted.questions}


def search_of(context: LoopContext, start: SearchStart, suite: Suite, queue: Queued) -> Search:
    """The search that a record began, with nothing seen yet. queue: of what a model proposes."""
    wanted = start.objective
    objective = Objective(**wanted.model_dump()) if wanted else Objective(restraint=context.settings.policy.restraint_min)
    proposers: Mapping[str, WayProposer] = SEARCHERS.all()
    if start.priors:
        proposers = {**proposers, "transfer": Transfer(start.priors)}
    proposers = {**proposers, **made_for(start, suite, queue)}
    # Whoever names a reflection model wants to hear it; beside many proposers it would wait for chance.
    first = REFLECTION if start.reflection is not None else None
    plan = SearchPlan(start.prompt_ids, frozenset(start.capabilities), start.start, start.seed, phase=start.phase, first=first)
    return Search(plan, objective, proposers)


def priors(context: LoopContext, baseline: Spec) -> tuple[dict[str, str], ...]:
    """The points that were promoted for other models in this phase, the newest first, each once.

    What held-out prompts said of the same model, under any of its names, is no prior: its next test
    is to be independent of it. What was promoted and is no point of the space is passed over.
    """
    ledger, mine = context.ledger, set(names_of(context, baseline))
    promoted = ledger.read(Decision, {"verdict": "promote"}, newest_first=True)
    others = [one.candidate_spec_id for one in promoted if one.phase == baseline.phase and one.model not in mine]
    known = {standing.spec_id: standing.point for end in ledger.read(SearchEnd) for standing in end.ranking} if others else {}
    found: list[dict[str, str]] = []
    for spec_id in dict.fromkeys(others):
        point = known.get(spec_id)
        if point is None:
            spec = find(ledger, Spec, spec_id)
            point = _point_of(spec) if spec is not None else None
        elif not _in_space(point):
            point = None
        if point is not None and point not in found:
            found.append(dict(point))
    return tuple(found[:_MOST_PRIORS])


def _in_space(point: Mapping[str, str]) -> bool:
    try:
        composed(point)
    except VariantError:
        return False
    return True


def _point_of(spec: Spec) -> dict[str, str] | None:
    """The point that a spec's variant is, as its name tells; None if it is none."""
    try:
        named = point_from(spec.variant.name)
        variant = composed(named, max_tokens=spec.variant.sampling.max_tokens)
        variant = embedded_by(variant, options_of(spec.variant).embedding or None)
    except VariantError:
        return None
    return dict(named) if variant.variant_hash == spec.variant.variant_hash else None
