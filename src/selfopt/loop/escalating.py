"""Serving when sure, in a cycle: calibrate what was measured, and check what is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from selfopt.measure.lookup import find
from selfopt.measure.stored_signals import SignalledTrial, first_said, prompt_words, signalled
from selfopt.policy import Judged, calibrated
from selfopt.records import (
    BoundClaim,
    Calibration,
    CycleStart,
    CycleTargetResult,
    Environment,
    Evaluation,
    Outcome,
    Purpose,
    RemedyCheck,
    Rule,
    Run,
    ServeWhen,
    Spec,
    Suite,
    Trial,
    content_hash,
    tool_set_name,
)
from selfopt.stats import clopper_pearson_upper
from selfopt.words.findings import escalation_checked

from .context import LoopContext, search_split
from .store import spec_by_id
from .taken_back import bans

# Isolated samples and warm-ups are asked in another way than a pass is.
_ORDINARY: frozenset[Purpose] = frozenset({"measure", "race", "search"})


def calibrations_in_use(context: LoopContext) -> Mapping[str, Sequence[Calibration]]:
    """What cycles calibrated by the present settings, by spec, the newest last. None where they may not."""
    found: dict[str, list[Calibration]] = {}
    if context.settings.serve.calibrate:
        wanted = _wanted(context)
        for one in context.ledger.read(Calibration):
            if one.cycle_id is not None and wanted == {name: getattr(one, name) for name in wanted}:
                found.setdefault(one.spec_id, []).append(one)
    return found


def banned_calibrations(context: LoopContext) -> frozenset[str]:
    """The ids of the calibrations that fresh replies have broken."""
    return frozenset(ban.what for ban in bans(context.ledger) if ban.kind == "escalation")


def thresholds(context: LoopContext) -> Mapping[str, ServeWhen]:
    """From which confidence on answers are served, by the id of the calibration."""
    found = ((one.calibration_id, one.serve_when) for each in calibrations_in_use(context).values() for one in each)
    return {name: when for name, when in found if when is not None}


async def calibrate(context: LoopContext, start: CycleStart, results: Sequence[CycleTargetResult]) -> None:
    """Look from which confidence on the baseline of each target may serve, where the settings let a
    cycle do so (`serve.calibrate`) and the model is wrong more often than is allowed.

    Fitted on search prompts, and calibrated on held-out ones, which are asked unless they were.
    """
    serve = context.settings.serve
    for result in results:
        if not serve.calibrate or (result.baseline_accuracy or 0.0) >= 1 - serve.max_bad_share:
            continue
        spec = spec_by_id(context.ledger, result.new_baseline_spec_id)
        await _measured(context, start, spec)
        found = _calibration(context, start, spec)
        if found is not None and find(context.ledger, Calibration, found.calibration_id) is None:
            await context.ledger.append([found])
            context.on_step("calibrated")


async def _measured(context: LoopContext, start: CycleStart, spec: Spec) -> None:
    """Ask a spec on the held-out prompts, unless it was, in what serves now."""
    if search_split(context.suite_for(spec)) == "all":
        return
    heldout = spec.model_copy(update={"split": "heldout"})
    then, now = (_newest_environment(context, one) for one in (heldout, spec))
    if then is None or (now is not None and not then.compatible_with(now)):
        await context.measured(start, [heldout], "while it was calibrated", "pass")


def _wanted(context: LoopContext) -> _Wanted:
    serve = context.settings.serve
    return {"claim": "these_tools", "max_bad_share": serve.max_bad_share, "confidence": serve.confidence}


def _calibration(context: LoopContext, start: CycleStart, spec: Spec) -> Calibration | None:
    suite = context.suite_for(spec)
    if search_split(suite) == "all":
        return None
    heldout = spec.model_copy(update={"split": "heldout"})
    environment = _newest_environment(context, heldout)
    if environment is None:
        return None
    fit = _once(suite, _answers(context, spec, environment))
    sample = _once(suite, _answers(context, heldout, environment), [prompt_words(suite, one.prompt) for one in fit])
    if not fit or not sample:
        return None
    wanted = _wanted(context)
    found = calibrated(_judged(suite, fit), _judged(suite, sample), **wanted)
    ids = [tuple(one.trial.trial_id for one in answers) for answers in (fit, sample)]
    calibration_id = content_hash("calibration", [spec.spec_id, environment.environment_id, *ids, wanted])
    parts = [f"{suite.name}:{split} ({suite.content_id()})" for split in ("search", "heldout")]
    return Calibration(
        calibration_id=calibration_id,
        model=spec.model,
        phase=spec.phase,
        spec_id=spec.spec_id,
        environment_id=environment.environment_id,
        fitted_on=parts[0],
        calibrated_on=parts[1],
        fit_trials=ids[0],
        calibration_trials=ids[1],
        **wanted,
        confidence_model=found.model,
        curve=found.curve,
        serve_when=found.serve_when(
            calibration_id, fitted_on=parts[0], calibrated_on=parts[1], spec_id=spec.spec_id, environment=environment
        ),
        least_feasible=found.least_feasible,
        prompts_needed=found.prompts_needed,
        shares=found.shares,
        set_names={tool_set_name(tools): name for name, tools in suite.tool_sets.items()},
        created_at=context.now(),
        cycle_id=start.cycle_id,
    )


def check_escalation(context: LoopContext, rule: Rule, spec: Spec, now: Evaluation) -> RemedyCheck | None:
    """Compare what would be served of fresh replies with what the rule's threshold promises, of those to
    tools that it is about.

    It is withdrawn where even the lower limit of the bad share among the served, at the confidence of
    the bound, is above the share that is allowed. None where nothing is fresh, or where a second way
    of asking counts: a cycle asks in one.
    """
    when = rule.serve_when
    if when is None or when.compares or rule.voided is not None or rule.spec_id != spec.spec_id:
        return None
    known = find(context.ledger, Calibration, when.calibration_id)
    old = set() if known is None else {*known.fit_trials, *known.calibration_trials}
    fresh = ([name for name in row.trial_ids if name not in old] for row in now.rows)
    ids = [names[0] for names in fresh if names]  # repeats of a prompt are no other prompts
    trials = [trial for name in ids for trial in context.ledger.read(Trial, {"id": name}, limit=1)]
    suite = context.suite_for(spec)
    fresh_answers = list(signalled(context.ledger, spec, suite, trials))
    if not fresh_answers:
        return None
    # Live, requests with other tools escalate, so answers to them say nothing of what is served.
    about = when.only_sets
    answers = [one for one in fresh_answers if not about or tool_set_name(suite.tools_of(one.prompt)) in about]
    served = [one for one in answers if when.model.serves(one.signals, when.least)]
    bad = sum(one.outcome is not Outcome.PASS for one in served)
    bound, helped = when.bound, None
    if served:
        lower = 1 - clopper_pearson_upper(len(served) - bad, len(served), bound.confidence)
        helped = False if lower > bound.max_bad_share else True if bad <= bound.max_bad_share * len(served) else None
    return RemedyCheck(
        recommendation_id=when.calibration_id,
        model=rule.model,
        phase=rule.phase,
        claim="escalation",
        before=bound.bad / bound.served if bound.served else None,
        after=bad / len(served) if served else None,
        helped=helped,
        withdrawn=helped is False and rule.source not in ("manual", "import"),
        detail=escalation_checked(len(served), bad, len(answers), bound.max_bad_share, others=len(fresh_answers) - len(answers)),
        evidence=(now.evaluation_id,),
    )


class _Wanted(TypedDict):
    claim: BoundClaim
    max_bad_share: float
    confidence: float


def _newest_environment(context: LoopContext, spec: Spec) -> Environment | None:
    runs = list(context.ledger.read(Run, {"spec_id": spec.spec_id}, newest_first=True, limit=1))
    return find(context.ledger, Environment, runs[0].environment_id) if runs else None


def _answers(context: LoopContext, spec: Spec, environment: Environment) -> list[SignalledTrial]:
    """The oldest answer to each prompt, from an environment that can be the given one."""
    found: dict[str, Trial] = {}
    for run in context.ledger.read(Run, {"spec_id": spec.spec_id}):
        then = find(context.ledger, Environment, run.environment_id)
        if run.purpose not in _ORDINARY or then is None or not then.compatible_with(environment):
            continue
        for trial in context.ledger.read(Trial, {"run_id": run.run_id}):
            if trial.asked and trial.fault in (None, "truncated"):
                found.setdefault(trial.prompt_id, trial)
    return list(signalled(context.ledger, spec, context.suite_for(spec), [found[name] for name in sorted(found)]))


def _once(suite: Suite, answers: Sequence[SignalledTrial], seen: Sequence[str] = ()) -> list[SignalledTrial]:
    """One answer to each prompt that says something of its own. seen: what was said before."""
    first = set(first_said(suite, (one.prompt for one in answers), frozenset(seen)).values())
    return [one for one in answers if one.prompt.id in first]


def _judged(suite: Suite, answers: Sequence[SignalledTrial]) -> list[Judged]:
    return [
        Judged(
            prompt_id=one.prompt.id,
            trial_id=one.trial.trial_id,
            tool_set=tool_set_name(suite.tools_of(one.prompt)),
            signals=one.signals,
            right=one.outcome is Outcome.PASS,
        )
        for one in answers
    ]
