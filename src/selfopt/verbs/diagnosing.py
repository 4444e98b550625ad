"""`feedback`: findings and recommendations from what the ledger already holds."""

from __future__ import annotations

from selfopt.errors import UsageError
from selfopt.feedback import save_feedback
from selfopt.loop import baselines, newest_evaluation, present_feedback
from selfopt.records import (
    Evaluation,
    Feedback,
    Finding,
    Recommendation,
)
from selfopt.wiring.app import App

from .loop_parts import loop_context

__all__ = ["make_feedback", "require_ledger", "standing_evaluations"]


def require_ledger(app: App) -> None:
    """Refuse what needs measurements where there are none."""
    if not app.has_ledger:
        raise UsageError(f"nothing was measured yet in {app.home.root}; start with: selfopt run MODEL PHASE")


async def make_feedback(app: App, *, write: bool = True) -> Feedback:
    """Findings and recommendations from the newest evaluations; kept in the ledger and in harness_feedback.json."""
    require_ledger(app)
    feedback = present_feedback(loop_context(app, read_only=True))
    if write:
        known_findings = {f.finding_id for f in app.ledger.read(Finding)}
        known = {r.id for r in app.ledger.read(Recommendation)}
        await app.ledger.append(
            [f for f in feedback.findings if f.finding_id not in known_findings]
            + [r for r in feedback.recommendations if r.id not in known]
        )
        save_feedback(app.home.feedback, feedback)
    return feedback


def standing_evaluations(app: App) -> list[Evaluation]:
    """The newest evaluation of every baseline, by model and phase."""
    found = [newest_evaluation(app.ledger, spec_id) for _, spec_id in sorted(baselines(app.ledger).items())]
    return [evaluation for evaluation in found if evaluation is not None]
