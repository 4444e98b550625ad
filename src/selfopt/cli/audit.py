"""`selfopt audit show | verify | trace`."""

from __future__ import annotations

import click

from .common import console, emit, json_option, open_app


@click.group("audit")
def command() -> None:
    """Show, verify or trace the audit trail."""


@command.command("show")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many records.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, last: int, as_json: bool) -> None:
    """The newest records of the trail, oldest first."""
    from selfopt.app import audit_line, audit_records

    records = audit_records(open_app(ctx), last)
    if as_json:
        emit(records)
        return
    for record in records:
        print(audit_line(record))
    if not records:
        print("the audit trail is empty")


@command.command("verify")
@json_option
@click.pass_context
def verify(ctx: click.Context, /, as_json: bool) -> int:
    """Check every hash of the chain. Exit code 1 when it does not verify."""
    from selfopt.app import verify_audit

    report = verify_audit(open_app(ctx))
    if as_json:
        emit(report)
    elif report.ok:
        print(f"the audit trail verifies: {report.n} records, head {report.head_hash[:16]}")
    else:
        where = f"line {report.first_bad_line}" if report.first_bad_line else "its end"
        print(f"the audit trail does NOT verify at {where}: {report.reason}")
    return 0 if report.ok else 1


@command.command("trace")
@click.argument("rule", nargs=-1, required=True)
@json_option
@click.pass_context
def trace(ctx: click.Context, /, rule: tuple[str, ...], as_json: bool) -> None:
    """From RULE (its id, or MODEL PHASE) down to the replies it rests on."""
    from selfopt.app import audit_line, trace_rule
    from selfopt.report import safe_terminal

    traced = trace_rule(open_app(ctx), " ".join(rule))
    if as_json:
        emit(traced)
        return
    out = console()
    out.print(f"rule {traced.rule_id}", style="bold", markup=False)
    for record in traced.changes:
        out.print(f"  audit: {audit_line(record)}", markup=False)
    for item in traced.recommendations:
        out.print(f"  recommendation {item.id}: {safe_terminal(item.reason)}", markup=False)
    for decision in traced.decisions:
        out.print(
            f"  decision {decision.decision_id}: {decision.verdict} {decision.candidate_variant}: {', '.join(decision.reason_codes)}",
            markup=False,
        )
    for finding in traced.findings:
        out.print(f"  finding {finding.finding_id}: {safe_terminal(finding.summary)}", markup=False)
    for e in traced.evaluations:
        out.print(
            f"  evaluation {e.evaluation_id}: {e.model} {e.phase} {e.variant}: accuracy {e.metrics.accuracy:.0%} over {e.n_runs} run(s)",
            markup=False,
        )
    for run in traced.runs:
        own = [(t, vs) for t, vs in traced.trials if t.run_id == run.run_id]
        out.print(f"  run {run.run_id}: {len(own)} trials, {run.at}", markup=False)
        for trial, verdicts in own:
            outcome = ", ".join(dict.fromkeys(v.outcome.value for v in verdicts)) or "not judged"
            out.print(f"    {trial.prompt_id:5} {outcome:14} selfopt show {trial.trial_id}", markup=False)
    for missing in traced.missing:
        out.print(f"  named as evidence, not in this ledger: {missing}", markup=False)
