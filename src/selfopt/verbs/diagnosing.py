"""`feedback`: findings and recommendations from what the ledger already holds."""

from __future__ import annotations

from selfopt.loop import keep_feedback, present_feedback
from selfopt.records import (
    Feedback,
)
from selfopt.wiring.app import App
from selfopt.wiring.evidence import require_ledger

from .loop_parts import loop_context


async def make_feedback(app: App, *, write: bool = True) -> Feedback:
    """Findings and recommendations from the newest evaluations; kept in the ledger and in harness_feedback.json."""
    require_ledger(app)
    feedback = present_feedback(loop_context(app, read_only=True))
    if write:
        await keep_feedback(app.ledger, app.home.feedback, feedback)
    return feedback
