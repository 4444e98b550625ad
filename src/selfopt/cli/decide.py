"""`selfopt decide MODEL PHASE`."""

from __future__ import annotations

import click

from .common import console, draw, emit, json_option, open_app, say


@click.command("decide")
@click.argument("model")
@click.argument("phase")
@click.option("--candidate", metavar="VARIANT|ID", help="Only this candidate (default: every measured one).")
@click.option("--baseline", metavar="VARIANT|ID", help="Against this instead of the ledger's baseline.")
@json_option
@click.pass_context
def command(ctx: click.Context, /, model: str, phase: str, candidate: str | None, baseline: str | None, as_json: bool) -> None:
    """Put measured candidates of MODEL on PHASE through the gates: promote, hold or reject, with every figure.

    The decisions are kept; the baseline itself is changed by the loop alone.
    """
    from selfopt.app import decide_candidates, phase_of
    from selfopt.report import decision_panel

    app = open_app(ctx)
    decided = decide_candidates(app, app.resolve_model(model), phase_of(phase), candidate, baseline)
    if as_json:
        emit(
            {
                "baseline": decided.baseline,
                "decisions": decided.decisions,
                "changes": decided.changes,
                "reasons": decided.reasons,
                "best_held": decided.best_held,
            }
        )
        return
    out = console()
    base = decided.baseline
    if base is None:
        out.print("baseline: none was measured; a candidate that passes every gate becomes the first one")
    else:
        runs = "1 run" if base.n_runs == 1 else f"{base.n_runs} runs"
        say(out, f"baseline: {base.variant}, accuracy {base.metrics.accuracy:.2f} over {runs} ({base.evaluation_id})")
    for decision, change in zip(decided.decisions, decided.changes, strict=True):
        out.print()
        say(out, f"candidate {decision.candidate_variant}: {change}", style="bold")
        draw(out, decision_panel(decision))
    if decided.best_held:
        say(out, decided.best_held)
