"""From feedback to rules in force: findings and recommendations are kept, then the enforcer is asked to apply the rules."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from selfopt.feedback import load_feedback, save_feedback
from selfopt.records import CycleStart, Feedback, Phase, Recommendation, Spec

from .context import LoopContext, LoopEvent
from .store import baselines, current_baseline, spec_by_id

__all__ = ["enforce_feedback", "promoted_specs", "require_readable_feedback", "save_feedback_records"]


def save_feedback_records(context: LoopContext, start: CycleStart, feedback: Feedback) -> None:
    """Recommendations into the ledger (known ones are passed over) and the whole feedback into harness_feedback.json.

    CorruptError or NewerSchemaError for a file that cannot be read; it is not overwritten.
    """
    known = {r.id for r in context.ledger.read(Recommendation)}
    fresh = [r.model_copy(update={"cycle_id": start.cycle_id}) for r in feedback.recommendations if r.id not in known]
    context.ledger.append(fresh)
    save_feedback(context.home.feedback, feedback)


def require_readable_feedback(context: LoopContext) -> None:
    """Refuse a damaged or newer harness_feedback.json before anything is measured: it would not be overwritten later either."""
    with contextlib.suppress(FileNotFoundError):
        load_feedback(context.home.feedback)


def promoted_specs(context: LoopContext) -> Mapping[tuple[str, Phase], Spec]:
    """The baseline spec of every model and phase that has one by promotion."""
    found: dict[tuple[str, Phase], Spec] = {}
    for key, spec_id in baselines(context.ledger).items():
        record = current_baseline(context.ledger, *key)
        if record is not None and (record.source == "promotion" or record.decision_id is not None):
            found[key] = spec_by_id(context.ledger, spec_id)
    return found


def enforce_feedback(context: LoopContext, start: CycleStart, feedback: Feedback) -> int:
    """Apply what the feedback recommends. Returns the version of the rules then in force."""
    if not context.enforce:
        context.say(LoopEvent("enforcement", "enforcement is switched off: no rule was changed"))
        return context.enforcer.load().version
    before = context.enforcer.load()
    config = context.enforcer.enforce(
        feedback.recommendations,
        promoted=promoted_specs(context),
        options=context.rule_options,
        event="loop",
        reason=f"cycle {start.number}",
    )
    if config.version == before.version:
        context.say(LoopEvent("enforcement", f"the rules in force stay as they are (version {config.version})"))
    else:
        context.say(LoopEvent("enforcement", f"rules version {config.version} is in force ({len(config.rules)} rules)", config))
    return config.version
