"""`selfopt report`."""

from __future__ import annotations

import click

from .common import console, draw, emit, json_option, open_app, say
from .exit_codes import says

SHOWN_FAULTS = 10


@click.command("report")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> int:
    """Write SELF_OPTIMIZING_REPORT.md and .html, META_LEARNINGS.md and the cycles' results from the ledger. Exit code 100 when the
    ledger is not what was committed to it; the reports say so."""
    from selfopt.report import evaluation_table
    from selfopt.verbs.reporting import write_report

    done = write_report(open_app(ctx))
    checked = done.checked
    code = says(checked.ok)
    if as_json:
        emit({"written": done.written, "faults": checked.faults, "n_faults": checked.n_faults})
        return code
    out = console()
    for fault in checked.faults[:SHOWN_FAULTS]:
        say(out, fault.sentence(), style="bold")
    if not checked.ok:
        say(out, f"the ledger is NOT what was committed to it: {checked.n_faults} fault{'' if checked.n_faults == 1 else 's'}")
    if done.standing:
        draw(out, evaluation_table(done.standing))
    for path in done.written:
        say(out, f"written: {path}")
    return code
