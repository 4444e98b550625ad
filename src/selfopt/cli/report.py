"""`selfopt report`."""

from __future__ import annotations

import click

from .common import emit, json_option, open_app


@click.command("report")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> None:
    """Write SELF_OPTIMIZING_REPORT.md, META_LEARNINGS.md and the cycles' results from the ledger."""
    from selfopt.app import require_ledger, write_artefacts

    app = open_app(ctx)
    require_ledger(app)
    paths = write_artefacts(app)
    if as_json:
        emit({"written": paths})
        return
    for path in paths:
        print(path)
