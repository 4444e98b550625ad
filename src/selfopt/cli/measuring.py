"""What `run` and `supervise` share: flags, the call and the printing."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from selfopt.errors import SelfoptError

from .common import (
    SECONDS,
    LiveLine,
    cap_options,
    console,
    counted,
    draw,
    emit,
    executor_option,
    joined,
    limits_of,
    progress_option,
    run_with_app,
    say,
    say_each,
    short_id,
)
from .exit_codes import failed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from selfopt.records import RouteDecision, Verdict, WarmUpExperiment
    from selfopt.verbs.failing import Failure
    from selfopt.verbs.measuring import Measured
    from selfopt.verbs.opening import App
    from selfopt.verbs.warming import WarmUpShown, WarmUpValidation


F = TypeVar("F", bound=Callable[..., Any])
SHOWN_FAILURES = 12


def measure_flags(function: F) -> F:
    """Adds the arguments and options of both commands."""
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
        click.option("--timeout", "timeout_s", type=SECONDS, help="Seconds for one request."),
        click.option("--retries", type=click.IntRange(0, 20), help="Further attempts after a fault that may pass."),
        click.option(
            "--isolate/--no-isolate", default=None, help="Use a fresh connection and no prompt cache for every request."
        ),
        click.option("--limit", type=click.IntRange(min=1), help="Only the first so many prompts."),
        click.option("--force-model", is_flag=True, help="Measure exactly this model, whatever the rules say. This is logged."),
        click.option("--fresh", is_flag=True, help="Start anew instead of continuing an interrupted measurement."),
        cap_options,
        executor_option,
        progress_option,
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def measure_command(ctx: click.Context, flags: dict[str, Any], *, as_json: bool) -> int:
    """Measures and prints. Returns exit code 1 when a cap stopped it before the end.

    Raises SelfoptError when no request got a reply.
    """
    from selfopt.verbs.failing import failures_of_run
    from selfopt.verbs.measuring import measure_model

    wanted: tuple[str, ...] = flags.pop("fail_on", ())

    async def measure(app: App, *arguments: Any) -> tuple[Measured, list[Failure]]:
        found = await measure_model(app, *arguments)
        return found, list(failures_of_run(app, found)) if wanted else []

    measured, failures = _measured(ctx, flags, measure, _as_json if as_json else None, _print)
    if measured.unanswered is not None:
        raise SelfoptError(measured.unanswered)
    return failed(wanted, failures) if measured.result.status == "complete" else 1


def _measured(
    ctx: click.Context,
    flags: dict[str, Any],
    verb: Callable[..., Any],
    document: Callable[[Any], Any] | None,
    show: Callable[[Any], None],
) -> Any:
    """Calls a verb that measures. Prints its result before the verb records it as handed over.

    document: makes the JSON document to print; None prints with `show`.
    """
    from selfopt.verbs.measuring import measure_request

    settings = limits_of(flags)
    resume = not flags.pop("fresh")
    with LiveLine(enabled=document is None) as live:

        def tell(found: Any) -> None:
            live.clear()
            if document is not None:
                emit(document(found))
            else:
                show(found)
            sys.stdout.flush()

        return run_with_app(ctx, lambda app: verb(app, measure_request(app, resume=resume, **flags), live, tell), settings)


def _as_json(measured: Measured) -> dict[str, Any]:
    result = measured.result
    return {
        "route": measured.route,
        "audit_hash": measured.audit_hash,
        "requested_model": measured.route.original_model,
        "served_by": measured.spec.model,
        "spec_id": measured.spec.spec_id,
        "status": result.status,
        "stop_reason": result.stop_reason,
        "warm_up": result.warm_up,
        "run_ids": result.run_ids,
        "trials": result.trials,
        "resumed": result.resumed,
        "abandoned": result.abandoned,
        "evaluation": measured.evaluation,
        "verdicts": measured.verdicts,
        "faults": measured.faults,
    }


def _print_route(out: Console, decision: RouteDecision, audit_hash: str | None) -> None:
    if decision.outcome == "fallback":
        say(out, f"served by {decision.model}, because {decision.reason}")
    elif decision.outcome == "forced":
        say(out, f"measured anyway ({decision.reason})")
    say_each(out, (f"skipped: {skipped}" for skipped in decision.skipped), indent=2)
    if audit_hash:
        say(out, f"audited as {audit_hash[:16]} (selfopt audit show)", indent=2)


def _print(measured: Measured) -> None:
    from selfopt.report import evaluation_table, outcome_table

    out = console()
    result, evaluation = measured.result, measured.evaluation
    _print_route(out, measured.route, measured.audit_hash)
    warm = result.warm_up
    if warm.status != "off":
        times = [("load", warm.load_ms), ("prompt", warm.prompt_ms), ("chat", warm.chat_ms)]
        took = ", ".join(f"{name} {ms:.0f} ms" for name, ms in times if ms is not None)
        say(out, f"warm-up {warm.status}{': ' + took if took else ''}{'; ' + warm.reason if warm.reason else ''}")
    if evaluation is None:
        say(out, f"stopped: {result.stop_reason}; {counted(result.trials, 'trial')} kept, the same command continues")
        return
    draw(out, evaluation_table([evaluation], width=out.width))
    draw(out, outcome_table([evaluation], width=out.width))
    _print_failures(out, measured)
    if evaluation.concurrencies:
        from selfopt.words.latencies import mixed_text

        say(out, mixed_text(evaluation.concurrencies))
    resumed = f", {result.resumed} taken over from an interrupted call" if result.resumed else ""
    abandoned = f", {result.abandoned} abandoned by it and measured again" if result.abandoned else ""
    say(out, f"{counted(result.trials, 'trial')}{resumed}{abandoned}; runs {joined(result.run_ids)}")
    if result.stop_reason:
        say(out, f"stopped: {result.stop_reason}; the same command continues")


def _print_failures(out: Console, measured: Measured) -> None:
    """Prints one paragraph for all verdicts that failed alike, with one trial to look at."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in measured.verdicts:
        if verdict.outcome.value != "pass":
            why = measured.faults.get(verdict.trial_id, verdict.why)
            groups.setdefault((verdict.outcome.value, why), []).append(verdict)
    for (outcome, why), members in list(groups.items())[:SHOWN_FAILURES]:
        prompts = joined(dict.fromkeys(v.prompt_id for v in members), 12)
        say(out, f"{prompts}: {outcome.replace('_', ' ')}: {why}", indent=2, hang=4)
        say(out, f"selfopt show {short_id(members[0].trial_id)}", indent=4, style="dim")
    if len(groups) > SHOWN_FAILURES:
        say(out, f"and {len(groups) - SHOWN_FAILURES} other failures; --json lists every verdict", indent=2)


def validate_command(ctx: click.Context, flags: dict[str, Any], *, as_json: bool) -> int:
    """Measures what warm-up is worth and prints it.

    Returns exit code 1 when a cap stopped it before the end.
    """
    from selfopt.verbs.warming import validate_under_rules

    def document(shown: WarmUpShown) -> dict[str, Any]:
        return {key: getattr(shown, key) for key in ("route", "audit_hash", "validation", "reports")}

    shown = _measured(ctx, flags, validate_under_rules, document if as_json else None, _print_validation)
    return 0 if shown.validation.status == "complete" else 1


def _print_validation(shown: WarmUpShown) -> None:
    out, found = console(), shown.validation
    _print_route(out, shown.route, shown.audit_hash)
    say(
        out,
        f"{found.model} {found.phase} {found.variant}: warm-up off against on, {counted(len(found.cold.runs), 'run')} of each",
        style="bold",
    )
    if not found.forced_unload:
        say(out, "the model could NOT be unloaded by force: the cold runs were not cold, so the comparison says little")
    draw(out, _arms_table(found))
    say(out, f"accuracy {found.before:.3f} -> {found.after:.3f}, improvement {found.improvement:+.3f}")
    if found.experiment is not None:
        _print_experiment(out, found.experiment)
    if found.stop_reason:
        say(out, f"stopped: {found.stop_reason}; the same command continues")
    say_each(out, (f"written: {path}" for path in shown.reports), indent=2)


def _print_experiment(out: Console, seen: WarmUpExperiment) -> None:
    """Prints what alternating cold and warm runs prove, for all prompts and for each one."""
    from selfopt.words.findings import experiment_text

    say(out, f"that warm-up helps is {experiment_text(seen)}", style="bold" if seen.confirmed else "")
    hit = [p.prompt_id for p in seen.prompts if p.log_bayes_factor >= math.log(10)]
    if seen.outcomes_confirmed and len(seen.prompts) > 1:
        say(
            out,
            f"Bayes factor of at least 10 by themselves: {len(hit)} of {len(seen.prompts)} prompts: {joined(hit, 20)}",
            indent=2,
        )


def _arms_table(found: WarmUpValidation) -> Table:
    """Makes the table of figures and outcome rows without and with warm-up.

    Prompts with equal rows share one.
    """
    from rich import box
    from rich.table import Table

    from selfopt.report import safe_text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", overflow="fold")
    table.add_column("without", justify="right", overflow="fold", min_width=10)
    table.add_column("with warm-up", justify="right", overflow="fold", min_width=12)
    table.add_row("accuracy", f"{found.before:.3f}", f"{found.after:.3f}")
    table.add_row("variance between runs", f"{found.variance_before:.4f}", f"{found.variance_after:.4f}")
    table.add_row("first call", f"{found.first_call_before_ms:.0f} ms", f"{found.first_call_after_ms:.0f} ms", end_section=True)
    groups: dict[tuple[str, str], list[str]] = {}
    for prompt_id, row in found.cold.rows.items():
        groups.setdefault((row, found.warm.rows.get(prompt_id, "-")), []).append(prompt_id)
    for (cold, warm), prompts in groups.items():
        table.add_row(safe_text(joined(prompts, 20)), cold, warm)
    return table
