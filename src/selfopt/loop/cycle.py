"""One turn of the loop: measure, diagnose, verify, propose, measure, decide, recommend, enforce.

Every step first looks for its result in the ledger and makes only what is missing. So the next call
continues a cycle that was killed at any moment. The rules in force are read once, before the plan
is kept: a continued cycle judges the rules that it began under, not those that it has put in force
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.feedback import named
from selfopt.home import counted
from selfopt.measure.lookup import unknown_specs
from selfopt.records import (
    ColdFailuresFigures,
    Cycle,
    CyclePlan,
    CycleStart,
    CycleTarget,
    CycleTargetResult,
    Evaluation,
    Feedback,
    Finding,
    RemedyCheck,
    Run,
    SearchSpace,
    Spec,
    Trial,
)
from selfopt.words.findings import check_text

from .begin import begin
from .candidates import describe_change, propose
from .contest import Contest, is_at_ceiling, kind_of
from .context import Key, LoopContext, LoopEvent, Target
from .deciding import already_judged, decide_target, held_before
from .diagnosis import diagnose, present_feedback
from .enforce import enforce_feedback, keep_feedback, require_readable_feedback
from .escalating import calibrate
from .evidence import gather_evidence
from .measuring import Depth
from .remedies import check_remedies, take_back, withdrawal_advice
from .searching import search
from .store import plan_of, spec_by_id
from .taken_back import withdrawn_specs
from .text_only import needs_text


async def run_cycle(context: LoopContext, targets: Sequence[Target], loop_id: str | None = None) -> Cycle:
    """Run one cycle over the targets, or continue the one that was interrupted.

    Returns:
        The finished cycle, as it is in the ledger.

    Raises:
        BudgetError: a cap ended the cycle early. Nothing is decided, and the next call continues
            it.
        CorruptError, NewerSchemaError: harness_feedback.json cannot be read. Nothing is measured.
    """
    require_readable_feedback(context)
    start, specs = await begin(context, targets, loop_id)
    labels = ", ".join(specs[t.baseline_spec_id].label for t in start.targets)
    context.say(LoopEvent("cycle", f"cycle {start.number}: {labels}", start))
    await _make_cold(context, start, specs)
    base = await context.measured(start, list(specs.values()), "while its baselines were measured")
    context.on_step("baseline_measured")
    findings = await _diagnose(context, start, base)
    context.on_step("diagnosed")
    plan = await _plan(context, start, base, findings, targets)
    context.on_step("planned")
    measured = await _measure_candidates(context, start, plan, base, findings)
    context.on_step("measured")
    results = tuple([await _decided(context, start, plan, target, {**base, **measured}) for target in plan.targets])
    context.on_step("decided")
    await _confirm(context, start, results)
    await calibrate(context, start, results)
    feedback = await _recommend(context, start, plan, findings)
    context.on_step("recommended")
    version = enforce_feedback(context, start, feedback)
    context.on_step("enforced")
    return await _finish(context, start, results, plan.remedies, feedback, version)


async def _make_cold(context: LoopContext, start: CycleStart, specs: Mapping[str, Spec]) -> None:
    """Unload the models that will be warmed up, unless this cycle has measured them already."""
    measured = {e.spec_id for e in context.ledger.read(Evaluation, {"cycle_id": start.cycle_id})}
    for spec in specs.values():
        if spec.warm_up.enabled and spec.spec_id not in measured:
            await context.unload(spec)


async def _decided(
    context: LoopContext, start: CycleStart, plan: CyclePlan, target: CycleTarget, evaluations: Mapping[str, Evaluation]
) -> CycleTargetResult:
    """Gather the evidence on the candidates of one target, and decide them."""
    contest = Contest(context, start, target, evaluations)
    cases = await gather_evidence(contest)
    context.stages.check_evidence(
        [contest.measured, *(one for case in cases.values() for one in (case.measured, case.baseline))], ()
    )
    return await decide_target(context, start, plan, target, contest.measured, cases)


async def _confirm(context: LoopContext, start: CycleStart, results: Sequence[CycleTargetResult]) -> None:
    """Measure each winner whose race drew only some of the prompts in a pass over the whole suite.

    Its rule then rests on a measurement that took no part in choosing it. A cap may leave the pass
    out, since the next cycle measures its baseline anyway.
    """
    if not context.settings.policy.evidence:
        return
    for target in results:
        if target.winner_spec_id is None:
            continue
        spec = spec_by_id(context.ledger, target.winner_spec_id)
        mine = context.ledger.read(Evaluation, {"spec_id": spec.spec_id})
        prompts = len(context.suite_for(spec).select(spec.split))
        if not any(evaluation.cycle_id == start.cycle_id and len(evaluation.rows) >= prompts for evaluation in mine):
            await context.measure([spec], start.cycle_id, "pass")
            context.on_step("confirmed")


async def _measure_candidates(
    context: LoopContext,
    start: CycleStart,
    plan: CyclePlan,
    base: Mapping[str, Evaluation],
    findings: Mapping[Key, Sequence[Finding]],
) -> Mapping[str, Evaluation]:
    """Measure the candidates that do not race, interleaved.

    When the baseline failed because it was cold, its candidates are measured one after the other,
    each from an unloaded model. On the model that the baseline has loaded, any of them would seem
    to be the remedy.
    """
    together: dict[Depth, list[Spec]] = {"runs": [], "once": []}
    alone: list[tuple[Spec, Depth]] = []
    for target in plan.targets:
        cold = any(isinstance(f.figures, ColdFailuresFigures) for f in findings[target.model, target.phase])
        baseline = spec_by_id(context.ledger, target.baseline_spec_id)
        for spec_id in target.candidate_spec_ids:
            spec = spec_by_id(context.ledger, spec_id)
            kind = kind_of(context, baseline, base[baseline.spec_id], spec)
            depth: Depth = "runs" if kind == "fixed" else "once"
            if kind != "race" and cold:
                alone.append((spec, depth))
            elif kind != "race":
                together[depth].append(spec)
    measured: dict[str, Evaluation] = {}
    where = "while its candidates were measured"
    for spec, depth in alone:
        if not any(context.ledger.read(Run, {"cycle_id": start.cycle_id, "request_id": spec.request_id}, limit=1)):
            await context.unload(spec)
        measured |= await context.measured(start, [spec], where, depth)
    for depth, specs in together.items():
        measured |= await context.measured(start, specs, where, depth)
    return measured


async def _diagnose(context: LoopContext, start: CycleStart, base: Mapping[str, Evaluation]) -> Mapping[Key, Sequence[Finding]]:
    """The findings on this cycle's baselines, by model and phase.

    They are stored once per cycle.
    """
    known = list(context.ledger.read(Finding, {"cycle_id": start.cycle_id}))
    if not known:
        keys: dict[Key, str] = {(t.model, t.phase): t.baseline_spec_id for t in start.targets}
        feedback = diagnose(context, list(base.values()), keys)
        known = [named(f.model_copy(update={"cycle_id": start.cycle_id})) for f in feedback.findings]
        await context.ledger.append(known)
    for finding in known:
        context.say(LoopEvent("finding", f"{finding.model} {finding.phase}: {finding.summary}", finding))
    return {(t.model, t.phase): [f for f in known if (f.model, f.phase) == (t.model, t.phase)] for t in start.targets}


async def _plan(
    context: LoopContext,
    start: CycleStart,
    base: Mapping[str, Evaluation],
    findings: Mapping[Key, Sequence[Finding]],
    targets: Sequence[Target],
) -> CyclePlan:
    """What the cycle tries, and the checks of the remedies in force.

    A target whose promotion is withdrawn tries nothing: the next cycle starts from the baseline
    before it.
    """
    plan = plan_of(context.ledger, start) or await _new_plan(context, start, base, findings, targets)
    for check in plan.remedies:
        context.say(LoopEvent("remedy", check_text(check), check))
    withdrawn = _taken_back(plan.remedies)
    for target in plan.targets:
        if (target.model, target.phase) in withdrawn:
            tries = "tries nothing: its baseline was taken back, the next cycle starts from the one before"
        else:
            names = [plan.changes[i] for i in target.candidate_spec_ids]
            tries = f"tries {'; '.join(names) if names else 'nothing'}"
        context.say(LoopEvent("plan", f"{target.model} {target.phase}: {tries}", plan))
    return plan


def _taken_back(remedies: Sequence[RemedyCheck]) -> set[Key]:
    return {(c.model, c.phase) for c in remedies if c.withdrawn and c.claim not in ("fallback", "escalation")}


async def _new_plan(
    context: LoopContext,
    start: CycleStart,
    base: Mapping[str, Evaluation],
    findings: Mapping[Key, Sequence[Finding]],
    targets: Sequence[Target],
) -> CyclePlan:
    remedies = check_remedies(context, start, base)
    withdrawn = _taken_back(remedies)
    by_key = {t.key: t for t in targets}
    planned, changes, specs = [], {}, []
    for target in start.targets:
        key: Key = (target.model, target.phase)
        baseline = spec_by_id(context.ledger, target.baseline_spec_id)
        chosen: list[tuple[Spec, str]] = []
        screened = 0
        if key not in withdrawn:
            text_only = by_key[key].candidates is None and await needs_text(context, baseline, base[baseline.spec_id])
            chosen, screened = await _searched(context, start, by_key[key], baseline, base[baseline.spec_id], text_only=text_only)
            if not chosen:
                chosen = candidates_for(context, by_key[key], baseline, findings[key], text_only=text_only)
        update = {"candidate_spec_ids": tuple(s.spec_id for s, _ in chosen), "screened": screened or by_key[key].screened}
        planned.append(target.model_copy(update=update))
        changes.update({s.spec_id: change for s, change in chosen})
        specs += [s for s, _ in chosen]
    plan = CyclePlan(cycle_id=start.cycle_id, targets=tuple(planned), changes=changes, remedies=remedies, at=context.now())
    # One transaction, so that a remedy is withdrawn once, by the plan that says so.
    await context.ledger.append([*unknown_specs(context.ledger, specs), *take_back(context, start, remedies), plan])
    return plan


async def _searched(
    context: LoopContext, start: CycleStart, target: Target, baseline: Spec, measured: Evaluation, *, text_only: bool
) -> tuple[list[tuple[Spec, str]], int]:
    """The best of a search, each with its change in words, and how many it ranked to choose them.

    Empty where nothing is searched.
    """
    settings = context.settings.loop
    if not settings.search or target.candidates is not None or is_at_ceiling(measured):
        return [], 0
    found = await search(context, start, baseline, most_requests=settings.search_trials, text_only=text_only)
    left_out = already_judged(context, baseline.spec_id) | withdrawn_specs(context.ledger, target.model, target.phase)
    fresh = [spec for spec in found.specs if spec.spec_id not in {*left_out, baseline.spec_id} and context.names_embedding(spec)]
    return [(spec, describe_change(baseline, spec)) for spec in fresh[: settings.max_candidates]], found.end.compared


def candidates_for(
    context: LoopContext, target: Target, baseline: Spec, findings: Sequence[Finding], *, text_only: bool = False
) -> list[tuple[Spec, str]]:
    """The candidates of a target, each with its change in words.

    They are those that the user names. Otherwise they are the ones that were held with evidence to
    go on from, and then proposals. Nothing is tried again that was judged against this baseline or
    withdrawn.
    """
    if target.candidates is not None:
        chosen = [(s, describe_change(baseline, s)) for s in target.candidates(baseline)]
    else:
        left_out = already_judged(context, baseline.spec_id) | withdrawn_specs(context.ledger, target.model, target.phase)
        again = [spec_id for spec_id in held_before(context, baseline.spec_id) if spec_id not in left_out]
        most = context.settings.loop.max_candidates
        known = (spec_by_id(context.ledger, spec_id) for spec_id in again[:most])
        held = [spec for spec in known if context.rendered(spec).spec_id == spec.spec_id]
        variants = context.stages.specs.variants_for(baseline.endpoint, proposed=True)
        space = SearchSpace(variants, context.settings.warm_up.enabled, text_only, tried=left_out | set(again))
        fresh = propose(baseline, findings, space, most - len(held), context.rendered)
        chosen = [(spec, describe_change(baseline, spec)) for spec in (*held, *fresh)]
    return [(s, change) for s, change in chosen if s.spec_id != baseline.spec_id]


async def _recommend(
    context: LoopContext, start: CycleStart, plan: CyclePlan, findings: Mapping[Key, Sequence[Finding]]
) -> Feedback:
    """Recommend remedies for what is known now, and withdrawals.

    Stores both in the ledger and in harness_feedback.json.
    """
    feedback = present_feedback(context)
    advice = (*feedback.recommendations, *withdrawal_advice(context, start, plan.remedies))
    feedback = feedback.model_copy(update={"recommendations": advice})
    async with context.stages.in_turn():
        await keep_feedback(context.ledger, context.stages.feedback, feedback, start.cycle_id)
    for recommendation in advice:
        if (recommendation.model, recommendation.phase) in findings:
            context.say(LoopEvent("recommendation", recommendation.reason, recommendation))
    seen = tuple(f for group in findings.values() for f in group)
    return feedback.model_copy(update={"findings": seen or feedback.findings})


async def _finish(
    context: LoopContext,
    start: CycleStart,
    results: tuple[CycleTargetResult, ...],
    remedies: tuple[RemedyCheck, ...],
    feedback: Feedback,
    version: int,
) -> Cycle:
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
        trials=sum(
            trial.asked
            for run in context.ledger.read(Run, {"cycle_id": start.cycle_id})
            for trial in context.ledger.read(Trial, {"run_id": run.run_id})
        ),
    )
    await context.ledger.append([cycle])
    context.on_step("finished")
    context.stages.report()
    context.on_step("reported")
    context.say(LoopEvent("finished", f"cycle {cycle.number} finished after {counted(cycle.trials, 'trial')}", cycle))
    return cycle
