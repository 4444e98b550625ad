"""Puts each candidate through the gates and promotes the winner of each model and phase."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.measure.lookup import find
from selfopt.policy import best_hold
from selfopt.records import (
    Baseline,
    CandidateResult,
    CyclePlan,
    CycleStart,
    CycleTarget,
    CycleTargetResult,
    Decision,
    Evaluation,
    RaceEvidence,
    ReasonCode,
    Record,
)
from selfopt.words.decisions import best_hold_text
from selfopt.words.evidence import on_prompts

from .context import LoopContext, LoopEvent
from .evidence import Candidate
from .store import baseline_id, current_baseline, decisions_of, spec_by_id

# A hold for one of these reasons (too little data, or another was better) says nothing about the candidate. It may be tried again.
_WANT_OF_DATA: frozenset[ReasonCode] = frozenset(
    {
        "no_data",
        "not_comparable",
        "mostly_errors",
        "not_enough_runs",
        "baseline_not_enough_runs",
        "not_enough_evidence",
        "no_alpha_left",
        "not_tried_on_heldout",
        "behind",
    }
)


def already_judged(context: LoopContext, baseline_spec_id: str) -> set[str]:
    """The spec ids that were held or rejected on their merits against this baseline."""
    return {
        d.candidate_spec_id
        for d in context.ledger.read(Decision, {"baseline_spec_id": baseline_spec_id})
        if d.verdict != "promote" and not _may_be_tried_again(d)
    }


def _may_be_tried_again(decision: Decision) -> bool:
    """Whether a decision leaves something open.

    A held-out race that was held can go on; a held-out test has said all it can.
    """
    if not _WANT_OF_DATA.isdisjoint(decision.reason_codes):
        return True
    heldout = decision.evidence.heldout
    return "not_shown_on_heldout" in decision.reason_codes and isinstance(heldout, RaceEvidence) and heldout.state == "held"


def held_before(context: LoopContext, baseline_spec_id: str) -> list[str]:
    """The spec ids whose newest decision against this baseline left a race that can go on."""
    newest = {d.candidate_spec_id: d for d in context.ledger.read(Decision, {"baseline_spec_id": baseline_spec_id})}
    return [
        spec_id
        for spec_id, decision in newest.items()
        if decision.verdict == "hold" and decision.evidence.race is not None and _may_be_tried_again(decision)
    ]


async def decide_target(
    context: LoopContext,
    start: CycleStart,
    plan: CyclePlan,
    target: CycleTarget,
    baseline: Evaluation,
    cases: Mapping[str, Candidate],
) -> CycleTargetResult:
    """Decide every candidate of a target, once per cycle, and promote that of the largest gain.

    Args:
        baseline: the baseline's evaluation.
        cases: what is known about each candidate, by spec id.
    """
    pairs = await _decisions(context, start, plan, target, cases)
    rows = tuple(_row(plan, evaluation, decision) for evaluation, decision in pairs)
    winner = max((r for r in rows if r.verdict == "promote"), key=lambda r: r.improvement or 0.0, default=None)
    if winner is not None:
        await _promote(context, target, winner)
    elif (best := best_hold([decision for _, decision in pairs])) is not None:
        context.say(LoopEvent("held", f"{target.model} {target.phase}: the baseline stays. {best_hold_text(best)}"))
    known = current_baseline(context.ledger, target.model, target.phase)
    return CycleTargetResult(
        model=target.model,
        phase=target.phase,
        baseline_spec_id=target.baseline_spec_id,
        baseline_variant=spec_by_id(context.ledger, target.baseline_spec_id).variant.name,
        baseline_accuracy=baseline.metrics.accuracy,
        baseline_evaluation_id=baseline.evaluation_id,
        candidates=rows,
        winner_spec_id=winner.spec_id if winner else None,
        winner_variant=winner.variant if winner else None,
        improvement=winner.improvement if winner else None,
        new_baseline_spec_id=known.spec_id if known else target.baseline_spec_id,
    )


async def _decisions(
    context: LoopContext,
    start: CycleStart,
    plan: CyclePlan,
    target: CycleTarget,
    cases: Mapping[str, Candidate],
) -> list[tuple[Evaluation, Decision]]:
    known = decisions_of(context.ledger, start.cycle_id)
    pairs: list[tuple[Evaluation, Decision]] = []
    fresh: list[Record] = []
    for spec_id in target.candidate_spec_ids:
        case = cases[spec_id]
        decision = known.get((spec_id, target.baseline_spec_id))
        if decision is None:
            decision = context.decide(case.measured, case.baseline, start.cycle_id, case.evidence)
            fresh.append(decision)
        pairs.append((case.measured, decision))
    await context.ledger.append(fresh)
    for evaluation, decision in pairs:
        what = f"{evaluation.model} {evaluation.phase} {evaluation.variant} ({plan.changes[evaluation.spec_id]})"
        context.say(LoopEvent("decision", f"{what}: {decision.verdict}", decision))
    return pairs


def _row(plan: CyclePlan, evaluation: Evaluation, decision: Decision) -> CandidateResult:
    return CandidateResult(
        spec_id=evaluation.spec_id,
        variant=evaluation.variant,
        changed=plan.changes[evaluation.spec_id],
        accuracy=evaluation.metrics.accuracy,
        call_accuracy=evaluation.metrics.call_accuracy,
        restraint=evaluation.metrics.restraint,
        improvement=decision.estimate,
        verdict=decision.verdict,
        reason_codes=decision.reason_codes,
        decision_id=decision.decision_id,
        evaluation_id=evaluation.evaluation_id,
        synthetic=decision.synthetic,
    )


async def _promote(context: LoopContext, target: CycleTarget, winner: CandidateResult) -> None:
    """Make the winner the baseline.

    The record's id hashes the decision, so a continued cycle does not write it twice.
    """
    record = Baseline(
        baseline_id=baseline_id(target.model, target.phase, winner.spec_id, winner.decision_id),
        model=target.model,
        phase=target.phase,
        spec_id=winner.spec_id,
        previous_spec_id=target.baseline_spec_id,
        decision_id=winner.decision_id,
        source="promotion",
        at=context.now(),
    )
    if find(context.ledger, Baseline, record.baseline_id) is None:
        await context.ledger.append([record])
    gain = f" (+{winner.improvement * 100:.1f} points)" if winner.improvement is not None else ""
    what = f"{target.model} {target.phase}: {winner.variant} ({winner.changed})"
    told = on_prompts(f"{what} is the new baseline{gain}", synthetic=winner.synthetic)
    context.say(LoopEvent("promoted", told, record))
