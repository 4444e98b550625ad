"""`selfopt quickstart`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import LiveLine, console, draw, emit, json_option, run_with_app, say
from .events import EventPrinter

if TYPE_CHECKING:
    from selfopt.verbs.opening import App
    from selfopt.verbs.quickstart import QuickstartResult, ServedLine


@click.command("quickstart")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> None:
    """Watch the whole loop work on two real models: measured, diagnosed, improved, gated, routed, measured again.

    Uses ./.selfopt unless --home or SELFOPT_HOME say otherwise. Interrupted, the same command continues; finished, it starts anew.
    """
    from selfopt.verbs.quickstart import plan_lines, quickstart_home, run_quickstart

    options = ctx.find_root().obj
    options["home"] = str(quickstart_home(options["home"], dict(os.environ), Path.cwd()).root)
    with LiveLine(enabled=not as_json) as live:
        printer = EventPrinter(live, enabled=not as_json)

        async def work(app: App) -> QuickstartResult:
            if not as_json:
                for line in plan_lines(app):
                    say(console(), line, indent=3)
            return await run_quickstart(app, printer, live, live.show)

        result = run_with_app(ctx, work)
    if as_json:
        from selfopt.verbs.quickstart import as_document

        emit(as_document(result))
    else:
        _print(result)


def _print(result: QuickstartResult) -> None:
    from selfopt.report import BeforeAfter, before_after_table

    out = console()
    out.print()
    out.print("The rules at work", style="bold")
    for served in result.served:
        _print_served(served)
    out.print()
    draw(
        out,
        before_after_table(
            [BeforeAfter(r.before, r.after, r.trials, r.look_next, f"{r.model.partition('/')[2]} {r.phase}") for r in result.rows]
        ),
    )
    out.print()
    for path in result.reports:
        out.print(f"  written: {path}", markup=False, soft_wrap=True)
    minutes, seconds = divmod(round(result.seconds), 60)
    out.print(
        f"  {result.trials} trials in {minutes} min {seconds} s; why each decision: selfopt report, selfopt audit trace MODEL PHASE",
        markup=False,
        soft_wrap=True,
    )


def _print_served(served: ServedLine) -> None:
    out = console()
    out.print(f"  $ {served.title}", markup=False)
    if served.refused:
        say(out, f"refused: {served.refused}", indent=4, hang=6)
    elif served.route is not None:
        say(out, f"{served.route.outcome}: served by {served.route.model}", indent=4, hang=6)
    audit = served.audit
    if audit is not None:
        seal = f"{audit.rule_id or 'no rule'}, version {audit.config_version}, hash {audit.hash[:16]}"
        say(out, f"audit: {audit.timestamp} {audit.event}, {seal}", indent=4, hang=6, style="dim")
        if audit.event == "diverted":
            say(out, f"because {audit.reason}", indent=4, hang=6, style="dim")
