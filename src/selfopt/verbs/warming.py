"""Measures what warm-up is worth: cold runs after a forced unload, interleaved with warm ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, Unpack

from selfopt.errors import UsageError
from selfopt.loop import current_baseline, spec_by_id
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.measure.resume import deliver, undelivered
from selfopt.measure.warm_up_validation import UnloadWhen, WarmUpValidation, validate_warm_up, validation_request
from selfopt.records import ColdFailuresFigures, Evaluation, Finding, Phase, RouteDecision, Run, Spec, Split, new_id, utc_now
from selfopt.variants.rendering import as_rendered
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring

from .measuring import MeasureRequest, route
from .reporting import write_artefacts

__all__ = ["ValidationArguments", "WarmUpShown", "WarmUpValidation", "validate_model_warm_up", "validate_under_rules"]

SWITCHED_OFF = "warm-up is switched off (warm_up.enabled = false); switch it on to measure what it is worth"


@dataclass(frozen=True, slots=True)
class WarmUpShown:
    """Result of `supervise --validate-warm-up`: the route, both arms, and their reports."""

    route: RouteDecision
    validation: WarmUpValidation
    reports: tuple[Path, ...]
    audit_hash: str | None


class ValidationArguments(TypedDict, total=False):
    """Optional arguments of a validation.

    Attributes:
        variant: name; by default the baseline's spec as it is, else native_api.
        runs: of each arm; by default 4.
        limit: measure only the first so many prompts.
        group: name under which an interrupted validation continues.
        once_per_arm: run the arms one after the other and unload once before each.
        suite, split, timeout_s, retries, isolate: of the spec; times in seconds.
        asked: full name of the model asked for, where this one serves in its place.
        progress: called as trials finish.
        await_delivery: as in `MeasureOptions`.
    """

    variant: str | None
    runs: int
    limit: int | None
    group: str | None
    once_per_arm: bool
    suite: str | None
    split: Split | None
    timeout_s: float | None
    retries: int | None
    isolate: bool | None
    asked: str
    progress: Callable[[Progress], None]
    await_delivery: bool


async def validate_model_warm_up(
    app: App, model: str, phase: Phase, **arguments: Unpack[ValidationArguments]
) -> WarmUpValidation:
    """Measure cold runs against warm ones, `runs` of each. The reports show the newest validation.

    Raises:
        UsageError: warm-up is switched off, or a cap left an arm without a whole run.
    """
    if not app.settings.warm_up.enabled:
        raise UsageError(SWITCHED_OFF)
    app.require_ready([model])
    asked = arguments.get("asked", model)
    app.sender.require(asked, model)
    options = replace(_asked(arguments), labels=Labels(group_id=arguments.get("group")), budget=app.budget)
    spec = _spec(app, model, phase, arguments)
    app.home.ensure()
    with measuring(app, "warm-up validation", [model]):
        found = await validate_warm_up(
            spec,
            context=app.measure_context(arguments.get("progress", ignore_progress), asked),
            options=options,
            unload=_unload(arguments),
            suspected=_suspected(app, model, phase),
        )
    if found is None:
        raise UsageError("a cap ended the validation before each arm had a whole run; raise max_trials or max_minutes")
    return found


def _asked(arguments: ValidationArguments) -> MeasureOptions:
    return MeasureOptions(
        n_runs=arguments.get("runs", 4),
        limit=arguments.get("limit"),
        await_delivery=arguments.get("await_delivery", False),
    )


def _unload(arguments: ValidationArguments) -> UnloadWhen:
    return "once_per_arm" if arguments.get("once_per_arm") else "each_run"


async def validate_under_rules(
    app: App,
    request: MeasureRequest,
    progress: Callable[[Progress], None] = ignore_progress,
    tell: Callable[[WarmUpShown], None] = lambda _: None,
) -> WarmUpShown:
    """Validate the warm-up of the model that the rules in force let serve, and write the reports.

    Continues an interrupted validation unless request.resume is off.

    Args:
        request: n_runs counts the runs of each arm.
        tell: as in `measure_model`, which also lists what is raised.
    """
    if not app.settings.warm_up.enabled:
        raise UsageError(SWITCHED_OFF)
    decision, audit_hash = route(app, request.model, request.phase, force=request.force_model)
    arguments = ValidationArguments(
        variant=request.variant,
        runs=request.n_runs,
        limit=request.limit,
        suite=request.suite,
        split=request.split,
        timeout_s=request.timeout_s,
        retries=request.retries,
        isolate=request.isolate,
        asked=request.model,
        progress=progress,
        await_delivery=True,
    )
    model = decision.model or request.model
    spec = _spec(app, model, request.phase, arguments)
    arguments["group"] = group = _group(app, spec, arguments) if request.resume else new_id("group")
    validation = await validate_model_warm_up(app, model, request.phase, **arguments)
    shown = WarmUpShown(decision, validation, tuple(write_artefacts(app)), audit_hash)
    tell(shown)
    await deliver(app.ledger, group, utc_now())
    return shown


def _group(app: App, spec: Spec, arguments: ValidationArguments) -> str:
    """Return the newest unfinished or undelivered validation of this spec, else a new one."""
    pending = undelivered(app.ledger, validation_request(spec, _asked(arguments), _unload(arguments))) if app.has_ledger else None
    return _open_group(app, spec) or pending or new_id("group")


def _suspected(app: App, model: str, phase: Phase) -> tuple[str, ...]:
    """Return the prompts that the newest finding of a cold start names."""
    found = app.ledger.read(Finding, {"model": model, "phase": phase}, newest_first=True) if app.has_ledger else ()
    return next((f.prompt_ids for f in found if isinstance(f.figures, ColdFailuresFigures)), ())


def _open_group(app: App, spec: Spec) -> str | None:
    """Return the newest validation of this spec if an arm of it has no evaluation yet."""
    if not app.has_ledger:
        return None
    arms = {spec.model_copy(update={"warm_up": spec.warm_up.model_copy(update={"enabled": on})}).spec_id for on in (False, True)}
    runs = [
        run
        for run in app.ledger.read(Run, {"model": spec.model, "phase": spec.phase}, newest_first=True)
        if run.spec_id in arms and run.purpose in ("warm_up_cold", "warm_up_warm")
    ]
    group = (runs[0].group_id or "").rpartition("/")[0] if runs else ""
    own = {run.run_id for run in runs if (run.group_id or "").rpartition("/")[0] == group}
    concluded = [e for arm in arms for e in app.ledger.read(Evaluation, {"spec_id": arm}) if own & set(e.run_ids)]
    return group if group and len(concluded) < len(arms) else None


def _spec(app: App, model: str, phase: Phase, arguments: ValidationArguments) -> Spec:
    chosen = {name: arguments.get(name) for name in ("suite", "split", "timeout_s", "retries", "isolate")}
    record = current_baseline(app.ledger, model, phase) if app.has_ledger else None
    if record is not None and arguments.get("variant") is None and all(value is None for value in chosen.values()):
        spec = spec_by_id(app.ledger, record.spec_id)
        return as_rendered(spec, app.suite_for(spec))
    return app.spec(model, phase, arguments.get("variant") or "native_api", chosen)
