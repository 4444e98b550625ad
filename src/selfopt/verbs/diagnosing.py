"""`feedback`: findings and recommendations from the ledger. Also builds what a cycle works with."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.loop import Listener, LoopContext, Stages, keep_feedback, present_feedback
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.records import Feedback
from selfopt.wiring.advising import adviser_of
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_evidence, ledger_or_none, only_reads, require_ledger
from selfopt.wiring.holding import in_turn

from .reporting import write_artefacts

__all__ = ["UNHEARD", "loop_context", "make_feedback", "only_reads"]

UNHEARD = Listener()
"""Ignores every event of the loop."""


async def make_feedback(app: App, *, write: bool = True) -> Feedback:
    """Derive findings and recommendations from the newest evaluations.

    Args:
        write: keep them in the ledger and in harness_feedback.json, unless the home cannot be
            written.

    Raises:
        UsageError: nothing was measured in this home.
    """
    require_ledger(app)
    feedback = present_feedback(loop_context(app, read_only=True))
    if write and not only_reads(app):
        async with in_turn(app):
            await keep_feedback(app.ledger, app.home.feedback, feedback)
    return feedback


def loop_context(
    app: App,
    listener: Listener = UNHEARD,
    progress: Callable[[Progress], None] = ignore_progress,
    max_candidates: int | None = None,
    *,
    read_only: bool = False,
) -> LoopContext:
    """Build everything that one cycle needs.

    Args:
        max_candidates: overrides the setting.
        read_only: only look at what a cycle would do, and create nothing in the home.
    """
    settings = app.settings
    if max_candidates is not None:
        loop = settings.loop.model_copy(update={"max_candidates": max_candidates})
        settings = settings.model_copy(update={"loop": loop})
    stages = Stages(
        enforcer=app.enforcer,
        measuring=lambda: app.measure_context(progress),
        specs=app,
        feedback=app.home.feedback,
        resolve=app.resolve_model,
        check_evidence=lambda found, names: check_evidence(app, found, names),
        report=lambda: write_artefacts(app),
        on_step=app.on_step,
        adviser=lambda model, asked: adviser_of(app, model, asked),
        shared=settings.ledger is not None,
        in_turn=lambda: in_turn(app),
    )
    return LoopContext(ledger_or_none(app) if read_only else app.ledger, stages, settings, listener, read_only)
