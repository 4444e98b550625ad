"""Did what an earlier cycle enforced do what it claimed? What did not help is withdrawn and recorded."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.records import Baseline, CycleStart, Decision, Evaluation, Ledger, RemedyCheck, Rule

from .context import LoopContext, LoopEvent
from .store import baseline_id, current_baseline, finished_cycles, put_baseline, spec_by_id

__all__ = ["check_remedies", "withdrawn_types"]

# A warm-up claims latency: it helped when the first call takes at most this share of what it took before.
FIRST_CALL_SHARE = 0.7


def check_remedies(context: LoopContext, start: CycleStart, base: Mapping[str, Evaluation]) -> tuple[RemedyCheck, ...]:
    """One check per remedy in force on the cycle's targets, judged on this cycle's fresh measurement of the baseline."""
    if not context.enforce:
        return ()
    checks: list[RemedyCheck] = []
    config = context.enforcer.load()
    for target in start.targets:
        rule = config.rule_for(target.model, target.phase)
        now = base.get(target.baseline_spec_id)
        if rule is None or now is None:
            continue
        found = (_variant(context, start, rule, now), _warm_up(context, rule, now), _fallback(context, rule, now))
        checks += [check for check in found if check]
    for check in checks:
        word = {True: "helped", False: "did not help, withdrawn", None: "not decided"}[check.helped]
        context.say(LoopEvent("remedy", f"{check.model} {check.phase}: {check.claim}: {word} ({check.detail})", check))
        if check.withdrawn and check.claim == "variant":
            _withdraw_variant(context, start, check)
    return tuple(checks)


def withdrawn_types(ledger: Ledger, remedies: tuple[RemedyCheck, ...] = ()) -> frozenset[tuple[str, str, str]]:
    """(model, phase, recommendation type) of warm-ups that were withdrawn: not recommended again, only set by hand.

    A withdrawn variant is a baseline taken back; a withdrawn fallback is chosen anew from the measurements each time.
    """
    past = [check for cycle in finished_cycles(ledger) for check in cycle.remedies]
    return frozenset((c.model, c.phase, "warm_up") for c in [*past, *remedies] if c.withdrawn and c.claim == "warm_up")


def _variant(context: LoopContext, start: CycleStart, rule: Rule, now: Evaluation) -> RemedyCheck | None:
    """The promoted spec against what it replaced. One that was promoted in this very cycle is measured in the next."""
    record = current_baseline(context.ledger, rule.model, rule.phase)
    if record is None or record.decision_id is None or record.source != "promotion":
        return None
    decision = next(context.ledger.read(Decision, {"id": record.decision_id}, limit=1), None)
    promoted = spec_by_id(context.ledger, record.spec_id)
    if decision is None or now.variant != promoted.variant.name or decision.estimate is None:
        return None
    if decision.cycle_id == start.cycle_id:
        return None
    before = _accuracy_before(context, decision)
    if before is None:
        return None
    after = now.metrics.accuracy
    return RemedyCheck(
        recommendation_id=decision.decision_id,
        model=rule.model,
        phase=rule.phase,
        claim="variant",
        before=before,
        after=after,
        helped=after > before,
        withdrawn=after <= before,
        detail=f"accuracy {before:.0%} -> {after:.0%} with {now.variant}",
    )


def _accuracy_before(context: LoopContext, decision: Decision) -> float | None:
    for evaluation_id in decision.evaluation_ids:
        for evaluation in context.ledger.read(Evaluation, {"id": evaluation_id}, limit=1):
            if evaluation.spec_id == decision.baseline_spec_id:
                return evaluation.metrics.accuracy
    return None


def _warm_up(context: LoopContext, rule: Rule, now: Evaluation) -> RemedyCheck | None:
    if not rule.warm_up or not now.warm_up:
        return None
    cold = _cold_before(context, rule, now)
    if cold is None:
        return None
    before, after = cold.metrics.first_call_ms, now.metrics.first_call_ms
    gained = now.metrics.accuracy > cold.metrics.accuracy and now.variant == cold.variant
    faster = before is not None and after is not None and after <= FIRST_CALL_SHARE * before
    recommendation = next((r for r in rule.recommendation_ids), rule.rule_id)
    detail = (
        f"first call {before:.0f} -> {after:.0f} ms" if before is not None and after is not None else "first call not measured"
    )
    if gained:
        detail += f", accuracy {cold.metrics.accuracy:.0%} -> {now.metrics.accuracy:.0%}"
    return RemedyCheck(
        recommendation_id=recommendation,
        model=rule.model,
        phase=rule.phase,
        claim="warm_up",
        before=before,
        after=after,
        helped=gained or faster,
        withdrawn=not (gained or faster),
        detail=detail,
    )


def _cold_before(context: LoopContext, rule: Rule, now: Evaluation) -> Evaluation | None:
    """The newest evaluation of this model and phase without warm-up in which a load was seen."""
    for evaluation in context.ledger.read(Evaluation, {"model": rule.model, "phase": rule.phase}, newest_first=True):
        if not evaluation.warm_up and evaluation.suite == now.suite and any(any(row.loaded) for row in evaluation.rows):
            return evaluation
    return None


def _fallback(context: LoopContext, rule: Rule, now: Evaluation) -> RemedyCheck | None:
    if rule.allow or rule.fallback is None:
        return None
    serving = current_baseline(context.ledger, rule.fallback, rule.phase)
    where = {"model": rule.fallback, "phase": rule.phase}
    newest = next(
        (e for e in context.ledger.read(Evaluation, where, newest_first=True) if serving is None or e.spec_id == serving.spec_id),
        None,
    )
    if newest is None:
        return None
    before, after = now.metrics.accuracy, newest.metrics.accuracy
    return RemedyCheck(
        recommendation_id=next(iter(rule.recommendation_ids), rule.rule_id),
        model=rule.model,
        phase=rule.phase,
        claim="fallback",
        before=before,
        after=after,
        helped=after > before,
        withdrawn=after <= before,
        detail=f"accuracy {before:.0%} -> {after:.0%} served by {rule.fallback}",
    )


def _withdraw_variant(context: LoopContext, start: CycleStart, check: RemedyCheck) -> None:
    record = current_baseline(context.ledger, check.model, check.phase)
    if record is None or record.previous_spec_id is None or record.source != "promotion":
        return
    back = record.previous_spec_id
    put_baseline(
        context.ledger,
        Baseline(
            baseline_id=baseline_id(check.model, check.phase, back, f"withdrawn in {start.cycle_id}"),
            model=check.model,
            phase=check.phase,
            spec_id=back,
            previous_spec_id=record.spec_id,
            source="withdrawn",
            at=context.now(),
        ),
    )
