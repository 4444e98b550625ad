"""`selfopt loop`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import LiveLine, console, emit, json_option, open_app, run_with_app
from .events import EventPrinter

if TYPE_CHECKING:
    from selfopt.app import App
    from selfopt.records import Cycle


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
@click.option("--dry-run", is_flag=True, help="Print plan, trials and the change of rules; write nothing.")
@click.option("--report", "report", is_flag=True, help="Write the reports; alone, it measures nothing.")
@click.option("--max-trials", type=click.IntRange(min=1), help="Stop after so many trials.")
@click.option("--max-minutes", type=click.FloatRange(min=0, min_open=True), help="Stop after so many minutes.")
@click.option("--max-cost", type=click.FloatRange(min=0), help="Stop at this cost (see [prices]).")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cycles: int | None,
    baseline_texts: tuple[str, ...],
    baseline_rest: tuple[str, ...],
    candidates: Path | None,
    max_candidates: int | None,
    dry_run: bool,
    report: bool,
    max_trials: int | None,
    max_minutes: float | None,
    max_cost: float | None,
    as_json: bool,
) -> None:
    """Run whole cycles: measure, diagnose, propose, measure, decide, recommend, enforce, verify, report.

    --baseline takes "MODEL PHASE VARIANT" in quotes, or the three words.
    """
    texts = list(baseline_texts)
    if baseline_rest:
        if len(texts) != 1 or len(baseline_rest) > 2:
            raise click.UsageError(f'unexpected argument {baseline_rest[0]!r}; write --baseline "MODEL PHASE VARIANT"', ctx)
        texts = [" ".join([texts[0], *baseline_rest])]
    flags = {"limits": {"max_trials": max_trials, "max_minutes": max_minutes, "max_cost": max_cost}}
    if dry_run:
        _dry_run(open_app(ctx, flags), texts, candidates, max_candidates, as_json)
        return
    if report and cycles is None and not texts:
        from .report import command as report_command

        ctx.invoke(report_command, as_json=as_json)
        return
    live = LiveLine(enabled=not as_json)
    printer = EventPrinter(live, enabled=not as_json)

    async def work(app: App) -> list[Cycle]:
        from selfopt.app import parse_target, run_loop

        targets = [parse_target(app, text) for text in texts]
        return await run_loop(app, targets, cycles or 1, candidates, printer, live, max_candidates)

    try:
        finished = run_with_app(ctx, work, flags)
    finally:
        live.clear()
    if as_json:
        emit(finished)


def _dry_run(app: App, texts: list[str], candidates: Path | None, max_candidates: int | None, as_json: bool) -> None:
    from selfopt.app import parse_target, preview

    plan = preview(app, [parse_target(app, text) for text in texts], candidates, max_candidates)
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
            }
        )
        return
    out = console()
    for target, baseline, pairs in plan.targets:
        out.print(f"{target.model} {target.phase}: baseline {baseline.variant.name} ({baseline.spec_id})", markup=False)
        for _, change in pairs:
            out.print(f"  candidate: {change}", markup=False)
    out.print(
        f"trials: {plan.trials_deterministic} where replies repeat themselves, at most {plan.trials_stochastic} where they do not"
    )
    for change in plan.rule_changes:
        out.print(f"  rule: {change}", markup=False)
    if not plan.rule_changes:
        out.print("rules: no change from what is measured so far")
    out.print("dry run: nothing was written")
