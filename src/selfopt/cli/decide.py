"""`selfopt decide MODEL PHASE`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app


@click.command("decide")
@click.argument("model")
@click.argument("phase")
@click.option("--candidate", metavar="VARIANT|ID", help="Only this candidate (default: every measured one).")
@click.option("--baseline", metavar="VARIANT|ID", help="Against this instead of the ledger's baseline.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, model: str, phase: str, candidate: str | None, baseline: str | None, as_json: bool) -> None:
    """Put measured candidates of MODEL on PHASE through the gates: promote, hold or reject, with every figure."""
    from selfopt.app import decide_candidates, phase_of
    from selfopt.report import decision_panel, safe_terminal

    app = open_app(ctx)
    decided = decide_candidates(app, app.resolve_model(model), phase_of(phase), candidate, baseline)
    if as_json:
        emit({"decisions": decided.decisions, "reasons": decided.reasons, "best_held": decided.best_held})
        return
    out = console()
    for decision in decided.decisions:
        out.print(decision_panel(decision))
    if decided.best_held:
        out.print(safe_terminal(decided.best_held), markup=False)
