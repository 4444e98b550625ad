"""Checks whether what an earlier cycle enforced did what it claimed.

What did not help is withdrawn and recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from selfopt.measure.lookup import find, unknown_specs
from selfopt.records import (
    Ban,
    Baseline,
    CycleStart,
    Decision,
    Evaluation,
    Ledger,
    Phase,
    Recommendation,
    Record,
    Remedy,
    RemedyCheck,
    RemedyClaim,
    Requirements,
    Rule,
    Run,
    Spec,
    Trial,
    WarmUpExperiment,
    content_hash,
)
from selfopt.words.findings import fallback_checked, idle_text, variant_checked, warm_up_checked, withdrawn_text

from .context import LoopContext
from .escalating import check_escalation
from .store import baseline_id, current_baseline, promotion_behind, spec_by_id
from .taken_back import bans

# A warm-up claims latency. It helped when the first call takes at most this share of what it took before.
FIRST_CALL_SHARE = 0.7
# A warm-up that took less than this share of the wait it should prevent found the model loaded already.
LOAD_SHARE = 0.1


def check_remedies(context: LoopContext, start: CycleStart, base: Mapping[str, Evaluation]) -> tuple[RemedyCheck, ...]:
    """Check each remedy in force on the cycle's targets, by the new measurement of the baseline.

    Writes nothing. `take_back` takes back what is withdrawn.
    """
    if not context.settings.enforcement.enabled:
        return ()
    checks: list[RemedyCheck | None] = []
    config = context.rules()
    for target in start.targets:
        rule = config.rule_for(target.model, target.phase, context.settings.one_name)
        now = base[target.baseline_spec_id]
        if rule is not None:
            spec = spec_by_id(context.ledger, target.baseline_spec_id)
            checks += [_variant(context, rule, spec, now), _warm_up(context, rule, now), _fallback(context, rule, now)]
            checks.append(check_escalation(context, rule, spec, now))

    return tuple(check for check in checks if check is not None)


def take_back(context: LoopContext, start: CycleStart, checks: Sequence[RemedyCheck]) -> list[Record]:
    """The records that restore the baselines from before the withdrawn remedies.

    The caller appends them.
    """
    records: list[Record] = []
    for model, phase in dict.fromkeys((c.model, c.phase) for c in checks if c.withdrawn):
        claims = {c.claim for c in checks if c.withdrawn and (c.model, c.phase) == (model, phase)}
        known = current_baseline(context.ledger, model, phase)
        if known is None:
            continue
        spec = spec_by_id(context.ledger, known.spec_id)
        promotion = promotion_behind(context.ledger, model, phase)
        if "variant" in claims and promotion is not None and promotion.previous_spec_id is not None:
            spec = context.present(spec_by_id(context.ledger, promotion.previous_spec_id))
        if "warm_up" in claims and spec.warm_up.enabled:
            spec = spec.model_copy(update={"warm_up": spec.warm_up.model_copy(update={"enabled": False})})
        if spec.spec_id == known.spec_id:
            continue
        records += unknown_specs(context.ledger, [spec])
        records.append(
            Baseline(
                baseline_id=baseline_id(model, phase, spec.spec_id, f"withdrawn in {start.cycle_id}"),
                model=model,
                phase=phase,
                spec_id=spec.spec_id,
                previous_spec_id=known.spec_id,
                source="withdrawn",
                at=context.now(),
            )
        )
    return records


def withdrawn_remedies(ledger: Ledger) -> frozenset[Remedy]:
    """The remedies that are not recommended again.

    They are warm-ups that were withdrawn or rolled back, which only a person sets again, and
    fallbacks that did no better than the model they replaced and have not been measured as better
    since. A withdrawn variant is not among them: its baseline is taken back instead.
    """
    found: set[Remedy] = set()
    for ban in bans(ledger):
        if ban.kind == "warm_up":
            found.add(Remedy(ban.model, ban.phase, "warm_up"))
        elif ban.kind == "fallback" and not _better_now(ledger, ban):
            found.add(Remedy(ban.model, ban.phase, "fallback", ban.what))
    return frozenset(found)


def _better_now(ledger: Ledger, ban: Ban) -> bool:
    """Whether the newest measurements show a fallback that was taken back as better than the model."""
    served = next(ledger.read(Evaluation, {"model": ban.what, "phase": ban.phase}, newest_first=True, limit=1), None)
    if served is None:
        return False
    newest = [_newest_alike(ledger, name, served) for name in (ban.what, ban.model)]
    ours, theirs = (e.metrics.accuracy if e is not None else None for e in newest)
    return ours is not None and theirs is not None and ours > theirs


def _newest_alike(ledger: Ledger, model: str, like: Evaluation) -> Evaluation | None:
    """The newest evaluation of a model's baseline on the same prompts."""
    serving = current_baseline(ledger, model, like.phase)
    known = ledger.read(Evaluation, {"model": model, "phase": like.phase}, newest_first=True)
    return next((e for e in known if _alike(e, like) and (serving is None or e.spec_id == serving.spec_id)), None)


def withdrawal_advice(context: LoopContext, start: CycleStart, checks: Sequence[RemedyCheck]) -> tuple[Recommendation, ...]:
    """Advice for the enforcer to remove warm-ups that were withdrawn, alone or with a promotion."""
    found = []
    for check in checks:
        known = current_baseline(context.ledger, check.model, check.phase)
        if not check.withdrawn or check.claim in ("fallback", "escalation") or known is None:
            continue
        if not spec_by_id(context.ledger, known.spec_id).warm_up.enabled:
            found.append(no_warm_up(check.model, check.phase, withdrawn_text(check), check.evidence, start.cycle_id))
    return tuple(found)


def no_warm_up(
    model: str, phase: Phase, reason: str, evidence: tuple[str, ...] = (), cycle_id: str | None = None
) -> Recommendation:
    """The advice that withdraws a warm-up, under its id."""
    draft = Recommendation(
        id="",
        type="warm_up",
        model=model,
        phase=phase,
        action="withdraw",
        requirements=Requirements(warm_up=False),
        reason=reason,
        evidence=evidence,
        cycle_id=cycle_id,
    )
    return draft.model_copy(update={"id": content_hash("rec", draft)})


def _alike(one: Evaluation, other: Evaluation) -> bool:
    """Whether two evaluations are over the same prompts and judged by the same scorer."""
    ours, theirs = ((e.suite_hash, e.split, e.scorer_hash, {row.prompt_id for row in e.rows}) for e in (one, other))
    return ours == theirs


def _check(rule: Rule, claim: RemedyClaim, now: Evaluation, then: Evaluation, detail: str, helped: bool | None) -> RemedyCheck:
    return RemedyCheck(
        recommendation_id=next(iter(rule.recommendation_ids), rule.rule_id),
        model=rule.model,
        phase=rule.phase,
        claim=claim,
        before=then.metrics.accuracy,
        after=now.metrics.accuracy,
        helped=helped,
        withdrawn=helped is False,
        detail=detail,
        evidence=(then.evaluation_id, now.evaluation_id),
    )


def _variant(context: LoopContext, rule: Rule, spec: Spec, now: Evaluation) -> RemedyCheck | None:
    """Compare the promoted spec with the spec that it replaced."""
    record = promotion_behind(context.ledger, rule.model, rule.phase)
    if record is None or record.decision_id is None:
        return None
    decision = find(context.ledger, Decision, record.decision_id)
    promoted = spec_by_id(context.ledger, record.spec_id)
    if decision is None or spec.variant.variant_hash != promoted.variant.variant_hash:
        return None
    made = (find(context.ledger, Evaluation, evaluation_id) for evaluation_id in decision.evaluation_ids)
    then = next((e for e in made if e is not None and e.spec_id == decision.baseline_spec_id), None)
    if then is None:
        return None
    alike = _alike(then, now)
    helped = now.metrics.accuracy > then.metrics.accuracy if alike else None
    check = _check(rule, "variant", now, then, variant_checked(then, now, alike=alike), helped)
    return check.model_copy(update={"recommendation_id": decision.decision_id})


def _warm_up(context: LoopContext, rule: Rule, now: Evaluation) -> RemedyCheck | None:
    """Compare the first call after a warm-up with the calls that waited for a load without one."""
    if not rule.warm_up or not now.warm_up:
        return None
    cold = _cold_before(context.ledger, rule.model, rule.phase, now)
    if cold is None:
        return None
    before, after = _waited_ms(context.ledger, cold), _first_call_ms(context.ledger, now)
    if before is None or after is None:
        return None
    waits = before, after
    gained = now.metrics.accuracy > cold.metrics.accuracy and now.variant == cold.variant
    if cold.variant != now.variant:
        # Calls of different variants take different times, so each first call counts from its own median.
        waits = _over_median_ms(cold, before), _over_median_ms(now, after)
    helped: bool | None = gained or waits[1] <= FIRST_CALL_SHARE * waits[0]
    problem = None if gained else _idle_warm_up(context.ledger, now, before)
    if problem is not None or (cold.variant != now.variant and not helped):
        helped = None  # the other variant can be the reason why it is no faster
    known = [e for e in context.ledger.read(WarmUpExperiment, {"model": rule.model, "phase": rule.phase}) if e.conclusive]
    by_hand = rule.source == "manual" and helped is False
    detail = warm_up_checked(cold, now, waits, problem, known[-1] if known else None, by_hand=by_hand)
    check = _check(rule, "warm_up", now, cold, detail, helped)
    return check.model_copy(update={"before": before, "after": after, "withdrawn": check.withdrawn and not by_hand})


def _over_median_ms(evaluation: Evaluation, first_call_ms: float) -> float:
    return max(0.0, first_call_ms - (evaluation.metrics.p50_ms or 0.0))


def _cold_before(ledger: Ledger, model: str, phase: Phase, now: Evaluation) -> Evaluation | None:
    """The newest evaluation of this model and phase without warm-up in which a load was seen.

    One of the same variant is preferred, because only it tells what the warm-up did for the
    outcomes.
    """
    other: Evaluation | None = None
    for evaluation in ledger.read(Evaluation, {"model": model, "phase": phase}, newest_first=True):
        if not evaluation.warm_up and _alike(evaluation, now) and any(any(row.loaded) for row in evaluation.rows):
            if evaluation.variant == now.variant:
                return evaluation
            other = other or evaluation
    return other


def _waited_ms(ledger: Ledger, evaluation: Evaluation) -> float | None:
    """Median latency of the trials that waited for a load; None when none did."""
    ids = [i for row in evaluation.rows for i, loaded in zip(row.trial_ids, row.loaded, strict=False) if loaded]
    found = [trial.latency_ms for i in ids for trial in ledger.read(Trial, {"id": i}, limit=1)]
    return median(found) if found else None


def _first_call_ms(ledger: Ledger, evaluation: Evaluation) -> float | None:
    """Latency of the first scored trial of the first run."""
    ids = [row.trial_ids[0] for row in evaluation.rows if row.trial_ids]
    trials = [trial for i in ids for trial in ledger.read(Trial, {"id": i}, limit=1)]
    first = min(trials, key=lambda t: (t.started_at, t.position), default=None)
    return first.latency_ms if first is not None else None


def _idle_warm_up(ledger: Ledger, now: Evaluation, wait_ms: float) -> str | None:
    """Why the warm-up of this measurement proves nothing.

    None when it had work to do and did it.
    """
    run = find(ledger, Run, now.run_ids[0])
    spent_ms = (run.warm_up.load_ms or 0.0) + (run.warm_up.prompt_ms or 0.0) if run is not None else 0.0
    worked = run is not None and run.warm_up.status == "complete" and spent_ms >= LOAD_SHARE * wait_ms
    return None if worked else idle_text(run)


def _fallback(context: LoopContext, rule: Rule, now: Evaluation) -> RemedyCheck | None:
    if rule.allow or rule.fallback is None:
        return None
    newest = _newest_alike(context.ledger, rule.fallback, now)
    if newest is None:
        return None
    detail = fallback_checked(now, newest)
    return _check(rule, "fallback", newest, now, detail, newest.metrics.accuracy > now.metrics.accuracy)
