"""`selfopt feedback`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app


@click.command("feedback")
@click.option("--dry-run", is_flag=True, help="Print only; write neither the ledger nor harness_feedback.json.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, dry_run: bool, as_json: bool) -> None:
    """Findings and recommendations from the last 8 evaluations of each model and phase -> harness_feedback.json."""
    from selfopt.app import make_feedback
    from selfopt.report import findings_list, safe_terminal

    app = open_app(ctx)
    feedback = make_feedback(app, write=not dry_run)
    if as_json:
        emit(feedback)
        return
    out = console()
    for row in feedback.accuracy:
        calls = "-" if row.call_accuracy is None else f"{row.call_accuracy:.0%}"
        out.print(
            f"{row.model} {row.phase} {row.variant}: accuracy {row.accuracy:.0%}, call accuracy {calls}, {row.evaluations} evaluation(s)",
            markup=False,
        )
    out.print(findings_list(feedback.findings))
    for item in feedback.recommendations:
        fallback = f" -> {item.fallback}" if item.fallback else ""
        out.print(
            f"  {item.action}{fallback}: {item.model} {item.phase}: {safe_terminal(item.reason)} [{item.confidence}, {item.id}]",
            markup=False,
        )
    if not feedback.recommendations:
        out.print("no recommendation: nothing to change")
    if not dry_run:
        out.print(f"written: {app.home.feedback}", markup=False)
