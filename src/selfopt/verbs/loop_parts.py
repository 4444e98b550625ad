"""What a cycle is handed, put together from settings and parts."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.loop import Listener, LoopContext, Stages
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_evidence, ledger_or_none

from .reporting import write_artefacts

UNHEARD = Listener()
"""Nobody wants to know."""


def loop_context(
    app: App,
    listener: Listener = UNHEARD,
    progress: Callable[[Progress], None] = ignore_progress,
    max_candidates: int | None = None,
    *,
    read_only: bool = False,
) -> LoopContext:
    """Everything one cycle needs. read_only: for a look at what it would do; nothing is opened that would be created."""
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
    )
    ledger = ledger_or_none(app) if read_only else app.ledger
    return LoopContext(ledger, stages, settings, listener, read_only)
