"""One turn of the loop: measure, diagnose, propose, measure, decide, recommend, enforce, verify.

Every step first looks for its result in the ledger, so that a cycle that was killed at any moment is continued by the
next call: what is there is used, what is missing is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.records import (
    Baseline,
    CandidateResult,
    Cycle,
    CyclePlan,
    CycleStart,
    CycleTarget,
    CycleTargetResult,
    Decision,
    Evaluation,
    Feedback,
    Finding,
    Phase,
    RemedyCheck,
    Run,
    Spec,
    Trial,
    new_id,
)

from .context import LoopContext, LoopEvent, Target
from .enforce import enforce_feedback, require_readable_feedback, save_feedback_records
from .proposer import describe_change
from .remedies import check_remedies, withdrawn_types
from .store import (
    baseline_id,
    baselines,
    current_baseline,
    decisions_of,
    evaluations,
    next_cycle_number,
    put_baseline,
    spec_by_id,
    unfinished_cycle,
)

__all__ = ["effective_baseline", "run_cycle"]

Key = tuple[str, Phase]


def effective_baseline(context: LoopContext, target: Target) -> Spec:
    """The spec that a cycle starts from: the one named, else the ledger's baseline, else the default; with the warm-up
    that the rule in force requires, because a rule is verified by measuring the spec that it names."""
    if target.baseline is not None:
        return target.baseline
    record = current_baseline(context.ledger, target.model, target.phase)
    spec = spec_by_id(context.ledger, record.spec_id) if record else context.default_baseline(target.model, target.phase)
    rule = context.enforcer.load().rule_for(target.model, target.phase) if context.enforce else None
    return context.with_warm_up(spec) if rule is not None and rule.warm_up else spec


async def run_cycle(context: LoopContext, targets: Sequence[Target]) -> Cycle:
    """Run one cycle over the targets, or continue the one that was interrupted. Returns the finished, stored cycle."""
    require_readable_feedback(context)
    start, specs = _begin(context, targets)
    context.say(
        LoopEvent("cycle", f"cycle {start.number}: {', '.join(specs[t.baseline_spec_id].label for t in start.targets)}", start)
    )
    for spec in specs.values():
        if spec.warm_up.enabled:
            await context.unload(spec)
    base = await context.measure(list(specs.values()), start.cycle_id, "baseline")
    findings = _diagnose(context, start, base)
    plan = _plan(context, start, specs, findings, targets)
    context.on_step("planned")
    candidates = [spec_by_id(context.ledger, i) for t in plan.targets for i in t.candidate_spec_ids]
    measured = await context.measure(candidates, start.cycle_id, "candidates") if candidates else {}
    context.on_step("measured")
    results = tuple(_decide_target(context, start, plan, target, base, measured) for target in plan.targets)
    context.on_step("decided")
    remedies = check_remedies(context, start, base)
    feedback = _recommend(context, start, findings, remedies)
    version = enforce_feedback(context, start, feedback)
    context.on_step("enforced")
    return _finish(context, start, results, remedies, feedback, version)


def _begin(context: LoopContext, targets: Sequence[Target]) -> tuple[CycleStart, dict[str, Spec]]:
    open_cycle = unfinished_cycle(context.ledger)
    wanted = [(t.model, t.phase) for t in targets]
    if open_cycle is not None and [(t.model, t.phase) for t in open_cycle.targets] == wanted:
        context.say(LoopEvent("resume", f"cycle {open_cycle.number} was interrupted; it is continued", open_cycle))
        return open_cycle, {t.baseline_spec_id: spec_by_id(context.ledger, t.baseline_spec_id) for t in open_cycle.targets}
    specs = [effective_baseline(context, t) for t in targets]
    start = CycleStart(
        cycle_id=new_id("cycle"),
        number=next_cycle_number(context.ledger),
        targets=tuple(
            CycleTarget(model=t.model, phase=t.phase, baseline_spec_id=s.spec_id) for t, s in zip(targets, specs, strict=True)
        ),
        config_version=context.enforcer.load().version if context.enforce else 0,
        at=context.now(),
    )
    context.ledger.append([*specs, start])
    for target, spec in zip(targets, specs, strict=True):
        _note_start_baseline(context, start, target, spec)
    context.on_step("begun")
    return start, {s.spec_id: s for s in specs}


def _note_start_baseline(context: LoopContext, start: CycleStart, target: Target, spec: Spec) -> None:
    known = current_baseline(context.ledger, target.model, target.phase)
    if known is not None and known.spec_id == spec.spec_id:
        return
    if known is not None and target.baseline is None:
        return  # the rule's warm-up only; the promoted spec stays the baseline
    put_baseline(
        context.ledger,
        Baseline(
            baseline_id=baseline_id(target.model, target.phase, spec.spec_id, start.cycle_id),
            model=target.model,
            phase=target.phase,
            spec_id=spec.spec_id,
            previous_spec_id=known.spec_id if known else None,
            source="flag" if target.baseline is not None else "default",
            at=context.now(),
        ),
    )


def _diagnose(context: LoopContext, start: CycleStart, base: Mapping[str, Evaluation]) -> dict[Key, tuple[Finding, ...]]:
    """Findings on this cycle's baselines; kept once per cycle."""
    known = list(context.ledger.read(Finding, {"cycle_id": start.cycle_id}))
    if not known and base:
        keys: dict[Key, str] = {(t.model, t.phase): t.baseline_spec_id for t in start.targets}
        feedback = context.diagnose(list(base.values()), keys, frozenset())
        known = [f.model_copy(update={"cycle_id": start.cycle_id, "finding_id": new_id("finding")}) for f in feedback.findings]
        context.ledger.append(known)
    for finding in known:
        context.say(LoopEvent("finding", finding.summary, finding))
    return {(t.model, t.phase): tuple(f for f in known if (f.model, f.phase) == (t.model, t.phase)) for t in start.targets}


def _plan(
    context: LoopContext,
    start: CycleStart,
    specs: Mapping[str, Spec],
    findings: Mapping[Key, Sequence[Finding]],
    targets: Sequence[Target],
) -> CyclePlan:
    known = next(context.ledger.read(CyclePlan, {"id": start.cycle_id}, limit=1), None)
    if known is None:
        planned, changes, new_specs = [], {}, []
        for request, target in zip(targets, start.targets, strict=True):
            baseline = specs[target.baseline_spec_id]
            if request.candidates is not None:
                chosen = [(s, describe_change(baseline, s)) for s in request.candidates]
            else:
                tried = _already_judged(context, baseline)
                chosen = list(context.propose(baseline, findings[(target.model, target.phase)], tried, context.max_candidates))
            chosen = [(s, c) for s, c in chosen if s.spec_id != baseline.spec_id]
            planned.append(target.model_copy(update={"candidate_spec_ids": tuple(s.spec_id for s, _ in chosen)}))
            changes.update({s.spec_id: change for s, change in chosen})
            new_specs += [s for s, _ in chosen]
        known = CyclePlan(cycle_id=start.cycle_id, targets=tuple(planned), changes=changes, at=context.now())
        context.ledger.append([*new_specs, known])
    for target in known.targets:
        names = [known.changes[i] for i in target.candidate_spec_ids]
        tries = "; ".join(names) if names else "nothing left that was not tried against this baseline"
        context.say(LoopEvent("plan", f"{target.model} {target.phase}: tries {tries}", known))
    return known


def _already_judged(context: LoopContext, baseline: Spec) -> set[str]:
    """Candidates that an earlier decision held or rejected against this very baseline: not proposed again."""
    return {
        d.candidate_spec_id
        for d in context.ledger.read(Decision, {"baseline_spec_id": baseline.spec_id})
        if d.verdict != "promote"
    }


def _decide_target(
    context: LoopContext,
    start: CycleStart,
    plan: CyclePlan,
    target: CycleTarget,
    base: Mapping[str, Evaluation],
    measured: Mapping[str, Evaluation],
) -> CycleTargetResult:
    baseline = base.get(target.baseline_spec_id)
    known = decisions_of(context.ledger, start.cycle_id)
    rows: list[CandidateResult] = []
    for spec_id in target.candidate_spec_ids:
        evaluation = measured.get(spec_id)
        if evaluation is None:
            continue
        decision = known.get((spec_id, target.baseline_spec_id))
        if decision is None:
            decision = context.decide(evaluation, baseline, start.cycle_id)
            context.ledger.append([decision])
        what = f"{evaluation.model} {evaluation.phase} {evaluation.variant} ({plan.changes[spec_id]})"
        context.say(LoopEvent("decision", f"{what}: {decision.verdict}", decision))
        rows.append(_row(plan, evaluation, decision))
    winner = max((r for r in rows if r.verdict == "promote"), key=lambda r: r.improvement or 0.0, default=None)
    if winner is not None:
        _promote(context, target, winner)
    spec = spec_by_id(context.ledger, target.baseline_spec_id)
    return CycleTargetResult(
        model=target.model,
        phase=target.phase,
        baseline_spec_id=target.baseline_spec_id,
        baseline_variant=spec.variant.name,
        baseline_accuracy=baseline.metrics.accuracy if baseline else None,
        baseline_evaluation_id=baseline.evaluation_id if baseline else None,
        candidates=tuple(rows),
        winner_spec_id=winner.spec_id if winner else None,
        winner_variant=winner.variant if winner else None,
        improvement=winner.improvement if winner else None,
        new_baseline_spec_id=winner.spec_id if winner else target.baseline_spec_id,
    )


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
    )


def _promote(context: LoopContext, target: CycleTarget, winner: CandidateResult) -> None:
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
    put_baseline(context.ledger, record)
    gain = f" (+{winner.improvement * 100:.1f} points)" if winner.improvement is not None else ""
    what = f"{target.model} {target.phase}: {winner.variant} ({winner.changed})"
    context.say(LoopEvent("promoted", f"{what} is the new baseline{gain}", record))


def _recommend(
    context: LoopContext, start: CycleStart, findings: Mapping[Key, Sequence[Finding]], remedies: tuple[RemedyCheck, ...]
) -> Feedback:
    withdrawn = withdrawn_types(context.ledger, remedies)
    feedback = context.diagnose(evaluations(context.ledger), baselines(context.ledger), withdrawn)
    seen = tuple(f for group in findings.values() for f in group)
    save_feedback_records(context, start, feedback)
    for recommendation in feedback.recommendations:
        if (recommendation.model, recommendation.phase) in findings:
            context.say(LoopEvent("recommendation", recommendation.reason, recommendation))
    return feedback.model_copy(update={"findings": seen or feedback.findings})


def _finish(
    context: LoopContext,
    start: CycleStart,
    results: tuple[CycleTargetResult, ...],
    remedies: tuple[RemedyCheck, ...],
    feedback: Feedback,
    version: int,
) -> Cycle:
    runs = {r.run_id for r in context.ledger.read(Run, {"cycle_id": start.cycle_id})}
    cycle = Cycle(
        cycle_id=start.cycle_id,
        number=start.number,
        started_at=start.at,
        ended_at=context.now(),
        targets=results,
        remedies=remedies,
        findings=tuple(f.finding_id for f in feedback.findings),
        recommendations=tuple(r.id for r in feedback.recommendations),
        config_version=version,
        trials=sum(1 for run in runs for _ in context.ledger.read(Trial, {"run_id": run})),
    )
    context.ledger.append([cycle])
    context.on_step("finished")
    context.write_artefacts()
    context.say(LoopEvent("finished", f"cycle {cycle.number} finished after {cycle.trials} trials", cycle))
    return cycle
