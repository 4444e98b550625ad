"""The beginning of a cycle: its baselines, or the interrupted cycle that it continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from selfopt.home import counted
from selfopt.measure.lookup import unknown_specs
from selfopt.measure.resume import close_open_runs
from selfopt.records import Baseline, CycleAbandoned, CycleStart, CycleTarget, RoutingConfig, Run, Spec, new_id

from .candidates import describe_change
from .context import LoopContext, LoopEvent, Target
from .store import baseline_id, current_baseline, next_cycle_number, plan_of, spec_by_id


def effective_baseline(context: LoopContext, target: Target) -> Spec:
    """The spec that a cycle starts from: the target's, else the ledger's baseline or the default.

    A spec that is not named is adapted to the present suite and settings. It also gets the warm-up
    that the rule in force requires, because a rule is verified by measuring the spec that it names.
    """
    if target.baseline is not None:
        return target.baseline
    record = current_baseline(context.ledger, target.model, target.phase)
    spec = (
        spec_by_id(context.ledger, record.spec_id) if record else context.stages.specs.standing_spec(target.model, target.phase)
    )
    rules = context.rules() if context.settings.enforcement.enabled else RoutingConfig()
    rule = rules.rule_for(target.model, target.phase, context.settings.one_name)
    warm = rule is not None and rule.warm_up and not spec.warm_up.enabled
    if warm:
        spec = spec.model_copy(update={"warm_up": context.settings.warm_up_policy(True)})
    return context.present(spec)


async def begin(context: LoopContext, targets: Sequence[Target], loop_id: str | None) -> tuple[CycleStart, Mapping[str, Spec]]:
    """The cycle to work on: the interrupted one when it fits the targets, else a new one.

    An interrupted cycle that does not fit is recorded as abandoned, with the reason.

    Returns:
        The start of the cycle, and its baseline specs by id.
    """
    for interrupted in context.unfinished_cycles(targets):
        problem = why_not_continued(context, interrupted, targets)
        if problem is None:
            context.say(LoopEvent("resume", f"cycle {interrupted.number} was interrupted; it is continued", interrupted))
            return interrupted, _specs_of(context, interrupted)
        await give_up(context, interrupted, problem)
    async with context.stages.in_turn():
        return await _new(context, targets, loop_id)


def why_not_continued(context: LoopContext, interrupted: CycleStart, targets: Sequence[Target]) -> str | None:
    """Why a command with these targets cannot continue an interrupted cycle; None when it can."""
    theirs = {(t.model, t.phase): t for t in interrupted.targets}
    if set(theirs) != {t.key for t in targets}:
        return "this command works on other models or phases"
    specs = dict(_specs_of(context, interrupted))
    for target in targets:
        baseline = specs[theirs[target.key].baseline_spec_id]
        if target.baseline is not None and target.baseline.spec_id != baseline.spec_id:
            return f"this command names another baseline for {target.model} {target.phase}"
    plan = plan_of(context.ledger, interrupted)
    if plan is not None:
        specs |= {i: spec_by_id(context.ledger, i) for t in plan.targets for i in t.candidate_spec_ids}
        by_key = {t.key: t for t in targets}
        for planned in plan.targets:
            problem = _other_candidates(context, by_key[planned.model, planned.phase], planned, specs)
            if problem is not None:
                return problem
    changed = [
        spec.label
        for spec in specs.values()
        if context.present(spec).spec_id != spec.spec_id or not context.names_embedding(spec)
    ]
    if changed:
        return f"the suite or the settings have changed since: {changed[0]} cannot be measured as it was"
    return None


def _other_candidates(context: LoopContext, target: Target, planned: CycleTarget, specs: Mapping[str, Spec]) -> str | None:
    where = f"{target.model} {target.phase}"
    by_search = target.candidates is None and context.settings.loop.search
    if target.screened != planned.screened and not by_search:
        return f"this command chose its candidates for {where} in another way"
    if target.candidates is not None:
        wanted = {spec.spec_id for spec in target.candidates(specs[planned.baseline_spec_id])}
        if wanted - {planned.baseline_spec_id} != set(planned.candidate_spec_ids):
            return f"this command tries other candidates for {where}"
    elif len(planned.candidate_spec_ids) > context.settings.loop.max_candidates:
        return f"this command tries at most {counted(context.settings.loop.max_candidates, 'candidate')}, the plan has more for {where}"
    return None


async def give_up(context: LoopContext, interrupted: CycleStart, problem: str) -> None:
    """Record that an interrupted cycle is abandoned, and close its runs.

    What it measured stays in the ledger.
    """
    runs = list(context.ledger.read(Run, {"cycle_id": interrupted.cycle_id}))
    await close_open_runs(context.ledger, runs, context.now)
    record = CycleAbandoned(cycle_id=interrupted.cycle_id, number=interrupted.number, reason=problem, at=context.now())
    await context.ledger.append([record])
    where = ", ".join(f"{t.model} {t.phase}" for t in interrupted.targets)
    context.say(
        LoopEvent("abandoned", f"cycle {interrupted.number} ({where}) was interrupted and is given up: {problem}", record)
    )


def _specs_of(context: LoopContext, start: CycleStart) -> Mapping[str, Spec]:
    return {t.baseline_spec_id: spec_by_id(context.ledger, t.baseline_spec_id) for t in start.targets}


async def _new(context: LoopContext, targets: Sequence[Target], loop_id: str | None) -> tuple[CycleStart, Mapping[str, Spec]]:
    specs = [effective_baseline(context, target) for target in targets]
    start = CycleStart(
        cycle_id=new_id("cycle"),
        number=next_cycle_number(context.ledger),
        targets=tuple(
            CycleTarget(model=t.model, phase=t.phase, baseline_spec_id=s.spec_id) for t, s in zip(targets, specs, strict=True)
        ),
        config_version=context.rules().version,
        loop_id=loop_id,
        at=context.now(),
    )
    records = [_baseline(context, start, target, spec) for target, spec in zip(targets, specs, strict=True)]
    # One transaction, so that a cycle that has begun has its baselines.
    await context.ledger.append([*unknown_specs(context.ledger, specs), start, *(r for r in records if r is not None)])
    context.on_step("begun")
    return start, {s.spec_id: s for s in specs}


def _baseline(context: LoopContext, start: CycleStart, target: Target, spec: Spec) -> Baseline | None:
    """The record that makes a spec the baseline; None when it is the baseline already."""
    known = current_baseline(context.ledger, target.model, target.phase)
    if known is not None and known.spec_id == spec.spec_id:
        return None
    source: Literal["flag", "default", "adapted"] = (
        "flag" if target.baseline is not None else "default" if known is None else "adapted"
    )
    if known is not None and source == "adapted":
        change = describe_change(spec_by_id(context.ledger, known.spec_id), spec)
        text = f"{target.model} {target.phase}: the baseline is measured as rules, suite and settings are now ({change})"
        context.say(LoopEvent("note", text, start))
    return Baseline(
        baseline_id=baseline_id(target.model, target.phase, spec.spec_id, start.cycle_id),
        model=target.model,
        phase=target.phase,
        spec_id=spec.spec_id,
        previous_spec_id=known.spec_id if known else None,
        source=source,
        at=context.now(),
    )
