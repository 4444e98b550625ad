"""Turns feedback into rules in force: stores it, then asks the enforcer to apply it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from selfopt.feedback import load_feedback, save_feedback
from selfopt.home import counted
from selfopt.records import CycleStart, Evaluation, Feedback, Finding, Ledger, Recommendation, RoutingConfig, Spec
from selfopt.routing import RuleOptions

from .context import Key, LoopContext, LoopEvent
from .escalating import banned_calibrations, thresholds
from .store import baselines, current_baseline, spec_by_id


async def keep_feedback(ledger: Ledger, path: Path, feedback: Feedback, cycle_id: str | None = None) -> None:
    """Store feedback: what is new in the ledger, and all of it in harness_feedback.json.

    Args:
        path: of harness_feedback.json.
        cycle_id: the cycle that recommends.

    Raises:
        CorruptError, NewerSchemaError: the file cannot be read. It is not overwritten.
    """
    known = {r.id for r in ledger.read(Recommendation)}
    known_findings = {f.finding_id for f in ledger.read(Finding)}
    findings = [f for f in feedback.findings if f.finding_id not in known_findings]
    fresh = [r.model_copy(update={"cycle_id": cycle_id}) for r in feedback.recommendations if r.id not in known]
    await ledger.append([*findings, *fresh])
    save_feedback(path, feedback)


def require_readable_feedback(context: LoopContext) -> None:
    """Refuse a damaged or newer harness_feedback.json before anything is measured.

    It would not be overwritten later.
    """
    with contextlib.suppress(FileNotFoundError):
        load_feedback(context.stages.feedback)


def served_specs(
    ledger: Ledger, recommendations: Sequence[Recommendation], current: RoutingConfig, one_name: Callable[[str], str] = str
) -> Mapping[Key, Spec]:
    """The spec that is to serve each model and phase: what was measured is what serves.

    It is the baseline when that was promoted. A baseline that was named, adapted or put back serves
    models that have a rule or a recommendation. Without a baseline, it is the spec that a
    recommendation to allow the model rests on. Default baselines are left out: they serve anyway, but
    for one that a threshold was calibrated on.

    one_name: gives one name for all of a model.
    """
    judged = {(r.model, r.phase): r for r in recommendations if r.allow is not None}
    known = baselines(ledger)
    found: dict[Key, Spec] = {}
    for key, spec_id in known.items():
        record = current_baseline(ledger, *key)
        if record is None or record.source == "default":
            continue
        if record.source == "promotion" or key in judged or current.rule_for(*key, one_name) is not None:
            found[key] = spec_by_id(ledger, spec_id)
    for key, recommendation in judged.items():
        measured = recommendation.requirements.spec_id
        rests = key not in known or recommendation.requirements.calibration_id is not None
        if rests and key not in found and recommendation.allow and measured is not None:
            for spec in ledger.read(Spec, {"id": measured}, limit=1):
                found[key] = spec
    return found


def synthetic_specs(ledger: Ledger) -> frozenset[str]:
    """The ids of the specs that were measured on synthetic prompts. A spec names its suite, so on no others."""
    return frozenset(evaluation.spec_id for evaluation in ledger.read(Evaluation) if evaluation.synthetic)


def enforce_feedback(context: LoopContext, start: CycleStart, feedback: Feedback) -> int:
    """Apply what the feedback recommends for the models and phases of the cycle, and no others.

    Returns the version of the rules that are in force then.
    """
    before = context.rules()
    if not context.settings.enforcement.enabled:
        context.say(LoopEvent("enforcement", "enforcement is switched off: no rule was changed"))
        return before.version
    one = context.settings.one_name
    named = {(one(target.model), target.phase) for target in start.targets}
    advice = [r for r in feedback.recommendations if (one(r.model), r.phase) in named]
    context.stages.check_evidence((), [name for r in advice for name in (r.id, *r.evidence)])
    serving = served_specs(context.ledger, advice, before, one)
    config = context.stages.enforcer.enforce(
        advice,
        promoted={key: spec for key, spec in serving.items() if (one(key[0]), key[1]) in named},
        options=RuleOptions(
            warm_up=context.settings.warm_up.enabled,
            synthetic=synthetic_specs(context.ledger),
            serve_when=thresholds(context),
            broken=banned_calibrations(context),
        ),
        event="loop",
        reason=f"cycle {start.number}",
    )
    _say_replaced(context, before, config)
    if config.version == before.version:
        context.say(LoopEvent("enforcement", f"the rules in force stay as they are (version {config.version})"))
    else:
        context.say(
            LoopEvent("enforcement", f"rules version {config.version} is in force ({counted(len(config.rules), 'rule')})", config)
        )
    return config.version


def _say_replaced(context: LoopContext, before: RoutingConfig, after: RoutingConfig) -> None:
    """Tell the user when a rule loses its promoted variant to a named or restored baseline."""
    for rule in after.rules:
        old = before.rule_for(rule.model, rule.phase) if rule.when is None else None
        record = current_baseline(context.ledger, rule.model, rule.phase)
        if old is None or old.variant is None or rule.variant is None or old.spec_id == rule.spec_id or record is None:
            continue
        if record.source in ("flag", "withdrawn", "rollback"):
            why = {"flag": "the baseline that was named", "withdrawn": "the withdrawal", "rollback": "the rollback"}[
                record.source
            ]
            what = f"{old.variant.name} ({old.spec_id}) is replaced by {rule.variant.name} ({rule.spec_id})"
            context.say(LoopEvent("note", f"{rule.model} {rule.phase}: the rule follows {why}: {what}", rule))
