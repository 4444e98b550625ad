"""`selfopt report`."""

from __future__ import annotations

import click

from .common import console, draw, emit, json_option, open_app, say


@click.command("report")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> None:
    """Write SELF_OPTIMIZING_REPORT.md and .html, META_LEARNINGS.md and the cycles' results from the ledger."""
    from selfopt.app import require_ledger, standing_evaluations, write_artefacts

    app = open_app(ctx)
    require_ledger(app)
    paths = write_artefacts(app)
    if as_json:
        emit({"written": paths})
        return
    from selfopt.report import evaluation_table

    out = console()
    standing = standing_evaluations(app)
    if standing:
        draw(out, evaluation_table(standing))
    for path in paths:
        say(out, f"written: {path}")
