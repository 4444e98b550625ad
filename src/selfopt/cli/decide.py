"""`selfopt decide MODEL PHASE`, and `selfopt decide --explain DECISION`."""

from __future__ import annotations

import click

from .common import console, counted, draw, emit, json_option, open_app, run_with_app, say, say_each
from .exit_codes import fail_on, failed, says


@click.command("decide")
@click.argument("model", required=False)
@click.argument("phase", required=False)
@click.option("--candidate", metavar="VARIANT|ID", help="Only this candidate (default: every measured one).")
@click.option("--baseline", metavar="VARIANT|ID", help="Against this instead of the ledger's baseline.")
@click.option(
    "--explain",
    "decision_id",
    metavar="ID",
    help="Explain a kept decision, or the threshold of a rule or a calibration: what was claimed, how sure it is, what "
    "would change it.",
)
@fail_on(
    "reject",
    "hold",
    "regression",
    help="only when a candidate was rejected or held, or is worse than the baseline. [default: when none is promoted]",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    model: str | None,
    phase: str | None,
    candidate: str | None,
    baseline: str | None,
    decision_id: str | None,
    fail_on: tuple[str, ...],
    as_json: bool,
) -> int:
    """Put measured candidates of MODEL on PHASE through the gates: promote, hold or reject, with
    every figure.

    The decisions are kept, but only the loop changes the baseline. Exit code 0 when a candidate is
    promoted, 100 when none is, and 2 when there is no candidate to decide. --fail-on names other
    reasons for 100.

    \b
    selfopt decide local/smollm2-135m atomic
    selfopt decide local/smollm2-135m atomic --fail-on regression
    selfopt decide --explain decision-3c9f38
    selfopt decide --explain rule-5b0d1f

    """
    if decision_id is not None:
        if model is not None or candidate is not None or baseline is not None or fail_on:
            raise click.UsageError("--explain takes the id of a decision and nothing else", ctx)
        _explain(ctx, decision_id, as_json=as_json)
        return 0
    if model is None or phase is None:
        name = "MODEL" if model is None else "PHASE"
        raise click.UsageError(f"Missing argument '{name}'; write selfopt decide MODEL PHASE, or --explain DECISION", ctx)
    from selfopt.report import decision_panel
    from selfopt.verbs.deciding import decide_candidates
    from selfopt.verbs.failing import failures_of_decisions

    decided = run_with_app(ctx, lambda app: decide_candidates(app, model, phase, candidate, baseline))
    decisions = decided.decisions
    promoted = any(decision.verdict == "promote" for decision in decisions)
    code = failed(fail_on, failures_of_decisions(decisions)) if fail_on else says(promoted)
    if as_json:
        emit({key: getattr(decided, key) for key in ("baseline", "decisions", "changes", "reasons", "best_held")})
        return code
    out = console()
    base = decided.baseline
    if base is None:
        out.print("baseline: none was measured; a candidate that passes every gate becomes the first one")
    else:
        figures = f"accuracy {base.metrics.accuracy:.2f} over {counted(base.n_runs, 'run')}"
        say(out, f"baseline: {base.variant}, {figures} ({base.evaluation_id})")
    for decision, change in zip(decisions, decided.changes, strict=True):
        out.print()
        say(out, f"candidate {decision.candidate_variant}: {change}", style="bold")
        draw(out, decision_panel(decision, width=out.width))
    if decided.best_held:
        say(out, decided.best_held)
    return code


def _explain(ctx: click.Context, decision_id: str, *, as_json: bool) -> None:
    from selfopt.verbs.deciding import explained_decision
    from selfopt.verbs.ruling import explained_threshold

    if (threshold := explained_threshold(open_app(ctx), decision_id)) is not None:
        if as_json:
            sections = {title: list(lines) for title, lines in threshold.sections}
            emit({"calibration": threshold.calibration, "rules": list(threshold.rules), "account": sections})
            return
        out = console()
        kept = threshold.calibration
        say(out, f"{kept.calibration_id} of {kept.model} {kept.phase}, {kept.created_at}", style="bold")
        for title, lines in threshold.sections:
            say(out, title, style="bold")
            say_each(out, lines, indent=2, hang=4)
        return
    decision, found, gates = explained_decision(open_app(ctx), decision_id)
    if as_json:
        emit(
            {
                "decision": decision,
                "claim": found.claim,
                "claimed": found.claimed,
                "sure": found.sure,
                "costs": found.costs,
                "gates": gates,
                "would_change": found.would_change,
            }
        )
        return
    out = console()
    name = decision.candidate_variant or decision.candidate_spec_id
    against = "no baseline yet" if decision.baseline_spec_id is None else f"baseline {decision.baseline_spec_id}"
    say(out, f"{decision.verdict.upper()} {name} for {decision.model} {decision.phase} ({against}), {decision.at}", style="bold")
    for title, lines in (
        ("What was claimed", (found.claimed,)),
        ("How sure", found.sure),
        ("What the looks cost", found.costs or ("not recorded",)),
        ("What each gate saw", gates),
        ("What would change it", found.would_change),
    ):
        say(out, title, style="bold")
        say_each(out, lines, indent=2, hang=4)
    say(
        out,
        f"from {counted(len(decision.run_ids), 'run')} and {counted(len(decision.evaluation_ids), 'evaluation')}; every figure: --json",
    )
