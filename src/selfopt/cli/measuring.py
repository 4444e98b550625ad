"""What `run` and `supervise` share: flags, the call, the printing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .common import LiveLine, console, emit, run_with_app

if TYPE_CHECKING:
    from selfopt.app import App, Measured

__all__ = ["measure_command", "measure_flags"]

F = TypeVar("F", bound=Callable[..., Any])


def measure_flags(function: F) -> F:
    """The arguments and options of both commands."""
    decorators = (
        click.argument("model"),
        click.argument("phase"),
        click.argument("variant", required=False),
        click.option("--suite", metavar="NAME|FILE", help="Another suite than the phase's reference suite."),
        click.option("--split", type=click.Choice(["search", "heldout", "canary", "all"]), help="Part of the suite."),
        click.option(
            "--enable-warmup/--no-warmup",
            "warm_up",
            default=None,
            help="Load and warm the model up first; recorded, never scored.",
        ),
        click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), help="Seconds for one request."),
        click.option("--retries", type=click.IntRange(0, 20), help="Further attempts where another one can succeed."),
        click.option("--isolate/--no-isolate", default=None, help="Fresh connection, no prompt cache, for every request."),
        click.option("--limit", type=click.IntRange(min=1), help="Only the first so many prompts."),
        click.option("--force-model", is_flag=True, help="Measure exactly this model, whatever the rules say; logged."),
        click.option("--fresh", is_flag=True, help="Start anew instead of continuing an interrupted measurement."),
        click.option("--max-trials", type=click.IntRange(min=1), help="Stop after so many trials."),
        click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after so many minutes."),
        click.option("--max-cost", type=click.FloatRange(min=0), help="Stop at this cost (see [prices])."),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def measure_command(ctx: click.Context, flags: dict[str, Any], *, n_runs: int, as_json: bool, sampling: bool = False) -> int:
    """Measure and print. Exit code 1 when a cap stopped it before the end."""
    limits = {name: flags.pop(name) for name in ("max_trials", "max_minutes", "max_cost")}
    fresh = flags.pop("fresh")
    live = LiveLine(enabled=not as_json)

    async def work(app: App) -> Measured:
        from selfopt.app import MeasureRequest, measure_model, phase_of

        model, phase = app.resolve_model(flags.pop("model")), phase_of(flags.pop("phase"))
        request = MeasureRequest(model=model, phase=phase, n_runs=n_runs, sampling=sampling, resume=not fresh, **flags)
        return await measure_model(app, request, live)

    try:
        measured = run_with_app(ctx, work, {"limits": limits})
    finally:
        live.clear()
    if as_json:
        emit(_as_json(measured))
    else:
        _print(measured)
    return 0 if measured.result.status == "complete" else 1


def _as_json(measured: Measured) -> dict[str, Any]:
    return {
        "route": measured.route,
        "audit_hash": measured.audit_hash,
        "requested_model": measured.route.original_model,
        "served_by": measured.spec.model,
        "spec_id": measured.spec.spec_id,
        "status": measured.result.status,
        "stop_reason": measured.result.stop_reason,
        "warm_up": measured.result.warm_up,
        "run_ids": measured.result.run_ids,
        "trials": measured.result.trials,
        "resumed": measured.result.resumed,
        "abandoned": measured.result.abandoned,
        "evaluation": measured.evaluation,
        "verdicts": measured.verdicts,
    }


def _print(measured: Measured) -> None:
    from selfopt.report import evaluation_table, outcome_table, safe_terminal

    out = console()
    decision, result = measured.route, measured.result
    if decision.outcome == "fallback":
        out.print(f"Routed from {decision.original_model} to {decision.model}: {safe_terminal(decision.reason)}", markup=False)
    elif decision.outcome == "forced":
        out.print(f"Forced past its rule: {safe_terminal(decision.reason)}", markup=False)
    if measured.audit_hash:
        out.print(f"  audited as {measured.audit_hash[:16]} (selfopt audit show)", markup=False)
    if result.warm_up.status != "off":
        out.print(f"Warm-up {result.warm_up.status} {safe_terminal(result.warm_up.reason)}".rstrip(), markup=False)
    evaluation = measured.evaluation
    if evaluation is None:
        out.print(f"stopped: {result.stop_reason}; {result.trials} trials are kept, the same command continues", markup=False)
        return
    out.print(evaluation_table([evaluation]))
    out.print(outcome_table([evaluation]))
    failed = [v for v in measured.verdicts if v.outcome.value != "pass"]
    for verdict in failed[:12]:
        out.print(
            f"  {verdict.prompt_id} {verdict.outcome.value}: {safe_terminal(verdict.why)}  (selfopt show {verdict.trial_id})",
            markup=False,
        )
    resumed = f", {result.resumed} taken over from an interrupted call" if result.resumed else ""
    out.print(f"{result.trials} trials{resumed}; runs {', '.join(result.run_ids)}", markup=False)
    if result.stop_reason:
        out.print(f"stopped: {result.stop_reason}", markup=False)
