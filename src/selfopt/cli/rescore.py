"""`selfopt rescore RUN...`."""

from __future__ import annotations

import click

from .common import console, counted, draw, emit, json_option, run_with_app, say


@click.command("rescore")
@click.argument("runs", nargs=-1, required=True)
@click.option("--variant", help="Use this variant's parsers.")
@click.option("--parser", "parsers", multiple=True, help="Use this parser chain (repeat in order).")
@click.option("--suite", metavar="NAME|FILE", help="Their suite, if the settings do not name it.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    runs: tuple[str, ...],
    variant: str | None,
    parsers: tuple[str, ...],
    suite: str | None,
    as_json: bool,
) -> None:
    """Judge the stored replies of RUNS again, with another parser chain or a newer scorer. No
    request is made.
    """
    from selfopt.report import evaluation_table, outcome_table
    from selfopt.verbs.rescoring import rescore_runs

    if variant is not None and parsers:
        raise click.UsageError("--variant and --parser both choose the parsers; give one of them", ctx)
    done = run_with_app(ctx, lambda app: rescore_runs(app, runs, variant, parsers, suite))
    found = done.rescored
    if as_json:
        counts = {"trials": len(found.trials), "fresh": found.fresh, "changed": found.changed}
        emit({**counts, "skipped": found.skipped, "evaluation": done.evaluation})
        return
    out = console()
    skipped = f", {len(found.skipped)} skipped" if found.skipped else ""
    changes = f"{found.fresh} new verdicts, {found.changed} outcomes changed{skipped}"
    say(out, f"{counted(len(found.trials), 'trial')} judged by {', '.join(done.parsers)}: {changes}")
    if done.evaluation is not None:
        draw(out, evaluation_table([done.evaluation], width=out.width))
        draw(out, outcome_table([done.evaluation], width=out.width))
    else:
        out.print("no evaluation: these are not the trials of a whole run")
