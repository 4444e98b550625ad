"""`selfopt loop`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    EventPrinter,
    LiveLine,
    Number,
    cap_options,
    console,
    emit,
    executor_option,
    is_verbose,
    json_option,
    limits_of,
    open_app,
    progress_option,
    run_in_app,
    say,
    say_each,
)
from .exit_codes import fail_on, failed

if TYPE_CHECKING:
    from selfopt.records import Cycle
    from selfopt.verbs.looping import CyclePreview
    from selfopt.verbs.opening import App


@click.command("loop")
@click.option("--cycles", type=click.IntRange(min=1), default=None, help="How many cycles to run (default 1).")
@click.option(
    "--baseline",
    "baseline_texts",
    multiple=True,
    metavar='"MODEL PHASE VARIANT"',
    help="Start from this (repeat for several models). Default: the ledger's baselines, else the settings'.",
)
@click.argument("baseline_rest", nargs=-1, metavar="")
@click.option("--candidates", type=click.Path(path_type=Path), help="YAML or JSON list of what to try, one change each.")
@click.option("--max-candidates", type=click.IntRange(0, 100), help="At most so many candidates per model.")
@click.option("--search", is_flag=True, help="Search the space of variants for what to try, and say what was found.")
@click.option("--fresh", is_flag=True, help="With --search: ask anew what the ledger already holds a reply to.")
@click.option("--dry-run", is_flag=True, help="Print plan, trials and the change of rules; write nothing.")
@click.option(
    "--gain",
    type=Number(min=0, max=100, min_open=True),
    metavar="POINTS",
    help="With --dry-run: say what a race takes to find a gain of so many points (default 5).",
)
@click.option(
    "--power",
    type=Number(min=0, max=1, min_open=True, max_open=True),
    help="With --dry-run: the chance to find that gain (default 0.9).",
)
@click.option("--report", "report", is_flag=True, help="Write the reports. Without other options, measure nothing.")
@cap_options
@executor_option
@fail_on(
    "reject",
    "hold",
    "regression",
    help="when a candidate was rejected or held, when one was worse than its baseline, or when a change had to be taken back.",
)
@progress_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, baseline_texts: tuple[str, ...], baseline_rest: tuple[str, ...], as_json: bool, **flags: Any
) -> int:
    """Run whole cycles: measure, diagnose, propose, measure, decide, recommend, enforce, verify,
    report.

    --baseline takes "MODEL PHASE VARIANT" in quotes, or as three words. Continues an interrupted
    cycle.

    \b
    selfopt loop --dry-run --gain 5 --power 0.9
    selfopt loop --cycles 2 --baseline local/smollm2-135m atomic native_api
    selfopt loop --candidates candidates.yaml

    """
    texts = _targets(ctx, baseline_texts, baseline_rest)
    settings = limits_of(flags)
    if flags["search"]:
        settings["loop"] = {"search": True, **({"search_fresh": True} if flags["fresh"] else {})}
    elif flags["fresh"]:
        raise click.UsageError("--fresh says how to search; give --search, too", ctx)
    candidates, most = flags["candidates"], flags["max_candidates"]
    odds = {name: flags[name] for name in ("gain", "power") if flags[name] is not None}
    only_reports = flags["report"] and flags["cycles"] is None and not texts and candidates is None
    if flags["fail_on"] and (flags["dry_run"] or only_reports):
        raise click.UsageError("--fail-on needs the result of a cycle, and this command runs none", ctx)
    if flags["dry_run"]:
        _dry_run(open_app(ctx, settings), texts, candidates, most, odds, as_json=as_json)
        return 0
    if odds:
        raise click.UsageError(f"--{next(iter(odds))} only says what a race takes; give --dry-run, too", ctx)
    if only_reports:
        from .report import command as report_command

        return int(ctx.invoke(report_command, as_json=as_json))
    from selfopt.verbs.failing import failures_of_cycles
    from selfopt.verbs.looping import Listener, run_loop, what_searches_found

    with LiveLine(enabled=not as_json) as live:

        def tell(finished: Sequence[Cycle]) -> None:
            live.clear()
            if as_json:
                emit(list(finished))
            else:
                for line in what_searches_found(app, finished):
                    say(console(), line.strip(), indent=2 if line.startswith(" ") else 0, hang=4)
                say(console(), f"reports: {app.home.reports}")
            sys.stdout.flush()

        listener = Listener(EventPrinter(live, enabled=not as_json, every_gate=is_verbose(ctx)), tell)
        app = open_app(ctx, settings)
        cycles = run_in_app(app, run_loop(app, texts, flags["cycles"] or 1, candidates, listener, live, most))
    return failed(flags["fail_on"], failures_of_cycles(cycles))


def _no_candidate_text(plan: CyclePreview) -> str:
    from selfopt.home import counted

    if plan.max_candidates == 0:
        return "no candidate: at most 0 were asked for (loop.max_candidates)"
    if plan.search_trials:
        found = counted(plan.max_candidates, "candidate")
        return f"at most {found}, found by a search of at most {counted(plan.search_trials, 'trial')}"
    return "no candidate left: everything was tried against this baseline"


def _targets(ctx: click.Context, quoted: tuple[str, ...], rest: tuple[str, ...]) -> list[str]:
    """Returns the baselines: each typed in quotes, or one as bare words, the first in `quoted`."""
    if not rest:
        return list(quoted)
    if len(quoted) != 1 or (len(rest) > 2 and "=" not in rest[1]) or " " in quoted[0].strip():
        raise click.UsageError(f'unexpected argument {rest[0]!r}; write --baseline "MODEL PHASE VARIANT"', ctx)
    return [" ".join([quoted[0], *rest])]


def _dry_run(
    app: App, texts: list[str], candidates: Path | None, max_candidates: int | None, asked: dict[str, float], *, as_json: bool
) -> None:
    from selfopt.verbs.foretelling import RaceOdds
    from selfopt.verbs.looping import preview

    odds = RaceOdds(asked.get("gain", 5.0) / 100, asked.get("power", 0.9)) if asked else None
    plan = preview(app, texts, candidates, max_candidates, odds)
    if as_json:
        emit(
            {
                "targets": [
                    {
                        "model": t.model,
                        "phase": t.phase,
                        "baseline": b.variant.name,
                        "baseline_spec_id": b.spec_id,
                        "candidates": [{"spec_id": s.spec_id, "change": c} for s, c in pairs],
                    }
                    for t, b, pairs in plan.targets
                ],
                "trials_deterministic": plan.trials_deterministic,
                "trials_stochastic": plan.trials_stochastic,
                "rule_changes": plan.rule_changes,
                "continues": plan.continues,
                "abandons": plan.abandons,
                "serving": plan.serving,
                **({"search_trials": plan.search_trials} if plan.search_trials else {}),
                **({"odds": odds, "forecasts": plan.forecasts} if odds is not None else {}),
            }
        )
        return
    out = console()
    if plan.continues is not None:
        say(out, f"continues the interrupted cycle {plan.continues}; finished trials are not repeated")
    if plan.abandons is not None:
        say(out, f"would abandon the interrupted cycle {plan.abandons}, which does not fit this plan, and keep its measurements")
    for target, baseline, pairs in plan.targets:
        say(out, f"{target.model} {target.phase}: baseline {baseline.variant.name} ({baseline.spec_id})", style="bold")
        lines = [f"candidate: {change}" for _, change in pairs]
        say_each(out, lines or [_no_candidate_text(plan)], indent=2)
    most = "at most " if plan.search_trials else ""
    say(
        out, f"trials: {most}{plan.trials_deterministic} if replies are deterministic, otherwise at most {plan.trials_stochastic}"
    )
    if odds is not None:
        for found in plan.forecasts:
            say_each(out, found.lines(odds) if found is not None else ["no race here"], indent=2, hang=4)
    if plan.serving is not None:
        say_each(out, plan.serving.lines(), hang=4)
    say_each(out, (f"rule: {change}" for change in plan.rule_changes), indent=2, hang=6)
    if not plan.rule_changes:
        out.print("rules: no change from what is measured so far")
    out.print("dry run: nothing was written")
