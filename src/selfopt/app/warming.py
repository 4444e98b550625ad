"""What a warm-up is worth, shown by an experiment: cold runs after a forced unload, interleaved with warm ones."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.errors import UsageError
from selfopt.home import ProcessLock
from selfopt.loop import current_baseline, spec_by_id
from selfopt.measure import Budget, Labels, Progress, ValidateOptions, WarmUpValidation, validate_warm_up
from selfopt.measure.progress import ignore_progress
from selfopt.records import Phase, Spec

from .app import App

__all__ = ["validate_model_warm_up"]


async def validate_model_warm_up(
    app: App,
    model: str,
    phase: Phase,
    *,
    variant: str | None = None,
    runs: int = 4,
    limit: int | None = None,
    group: str | None = None,
    once_per_arm: bool = False,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] = ignore_progress,
) -> WarmUpValidation:
    """Measure cold against warm on the baseline spec (or a named variant): `runs` of each. The reports show the newest one.

    UsageError when warm-up is switched off, or a cap left an arm without a whole run.
    """
    if not app.settings.warm_up.enabled:
        raise UsageError("warm-up is switched off (warm_up.enabled = false); switch it on to measure what it is worth")
    app.require_ready([model])
    limits = app.settings.limits
    options = ValidateOptions(
        n=runs,
        unload="once_per_arm" if once_per_arm else "each_run",
        limit=limit,
        labels=Labels(group_id=group),
        budget=Budget(max_trials=limits.max_trials, max_minutes=limits.max_minutes, max_cost=limits.max_cost),
    )
    app.home.ensure()
    with ProcessLock(app.home.lock)("warm-up validation"):
        found = await validate_warm_up(
            _spec(app, model, phase, variant, timeout_s), context=app.measure_context(progress), options=options
        )
    if found is None:
        raise UsageError("a cap ended the validation before each arm had a whole run; raise max_trials or max_minutes")
    return found


def _spec(app: App, model: str, phase: Phase, variant: str | None, timeout_s: float | None) -> Spec:
    record = current_baseline(app.ledger, model, phase) if variant is None and app.has_ledger else None
    if record is not None and timeout_s is None:
        return spec_by_id(app.ledger, record.spec_id)
    return app.spec(model, phase, variant or "native_api", {"timeout_s": timeout_s})
