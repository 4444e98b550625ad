"""`selfopt quickstart`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import (
    EventPrinter,
    LiveLine,
    console,
    counted,
    draw,
    emit,
    json_option,
    progress_option,
    run_with_app,
    say,
    say_each,
)

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.verbs.opening import App
    from selfopt.verbs.quickstart import QuickstartResult, ServedLine


@click.command("quickstart")
@progress_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> None:
    """Watch the whole loop work on two real models: measured, diagnosed, improved, gated, routed,
    measured again.

    Uses ./.selfopt unless --home or SELFOPT_HOME says otherwise. After an interruption the same
    command continues; when it has finished, it starts anew.
    """
    from selfopt.verbs.quickstart import as_document, plan_lines, quickstart_home, run_quickstart

    options = ctx.find_root().obj
    options["home"] = str(quickstart_home(options["home"], dict(os.environ), Path.cwd()).root)
    with LiveLine(enabled=not as_json) as live:
        printer = EventPrinter(live, enabled=not as_json)

        async def work(app: App) -> QuickstartResult:
            if not as_json:
                say_each(console(), plan_lines(app), indent=3)
            return await run_quickstart(app, printer, live, live.show)

        result = run_with_app(ctx, work)
    if as_json:
        emit(as_document(result))
    else:
        _print(result)


def _print(result: QuickstartResult) -> None:
    from selfopt.report import BeforeAfter, closing_lines, closing_table, look_next_lines

    out = console()
    out.print()
    out.print("The rules at work", style="bold")
    for served in result.served:
        _print_served(out, served)
    out.print()
    rows = [BeforeAfter(r.model, r.phase, r.before, r.after, r.look_next) for r in result.rows]
    out.print("What came of it", style="bold")
    say_each(out, closing_lines(rows), indent=2)
    out.print()
    draw(out, closing_table(rows, width=out.width))
    out.print("Where to look next", style="bold")
    say_each(out, look_next_lines(rows), indent=2)
    out.print()
    say_each(out, (f"written: {path}" for path in result.reports), indent=2)
    minutes, seconds = divmod(round(result.seconds), 60)
    took = f"{counted(result.trials, 'trial')} in {minutes} min {seconds} s"
    say(out, f"{took}; why each decision: selfopt report, selfopt audit trace MODEL PHASE", indent=2)


def _print_served(out: Console, served: ServedLine) -> None:
    out.print(f"  $ {served.title}", markup=False)
    if served.refused:
        say(out, f"refused: {served.refused}", indent=4, hang=6)
    elif served.route is not None:
        say(out, f"{served.route.outcome}: served by {served.route.model}", indent=4, hang=6)
    if (audit := served.audit) is not None:
        seal = f"{audit.rule_id or 'no rule'}, version {audit.config_version}, hash {audit.hash[:16]}"
        say(out, f"audit: {audit.timestamp} {audit.event}, {seal}", indent=4, hang=6, style="dim")
        if audit.event == "diverted":
            say(out, f"because {audit.reason}", indent=4, hang=6, style="dim")
