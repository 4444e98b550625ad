"""`selfopt report`."""

from __future__ import annotations

import click

from .common import console, counted, draw, emit, json_option, open_app, say, say_each
from .exit_codes import says

SHOWN_FAULTS = 10


@click.command("report")
@json_option
@click.pass_context
def command(ctx: click.Context, /, as_json: bool) -> int:
    """Write SELF_OPTIMIZING_REPORT.md and .html, META_LEARNINGS.md and the cycles' results from the
    ledger. The .html shows prompts and replies, so mind who reads it.

    Exit code 100 when the ledger is not what was committed to it. The reports say so, too.
    """
    from selfopt.report import evaluation_table
    from selfopt.verbs.reporting import write_report

    app = open_app(ctx)
    done = write_report(app)
    checked = done.checked
    code = says(checked.ok)
    if as_json:
        emit({"written": done.written, "faults": checked.faults, "n_faults": checked.n_faults})
        return code
    out = console()
    say_each(out, (fault.sentence() for fault in checked.faults[:SHOWN_FAULTS]), style="bold")
    if not checked.ok:
        say(out, f"the ledger is NOT what was committed to it: {counted(checked.n_faults, 'fault')}")
    if done.standing:
        draw(out, evaluation_table(done.standing, width=out.width))
    say_each(out, (f"written: {path}" for path in done.written))
    if done.only_read:
        say(out, f"no report was written: {app.home.root} cannot be written")
    return code
