"""`selfopt audit show | verify | trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import console, emit, joined, json_option, open_app, say, say_some, short_id

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.app import Traced
    from selfopt.home import SegmentsReport
    from selfopt.records import AuditRecord


@click.group("audit")
def command() -> None:
    """Show, verify or trace the audit trail."""


@command.command("show")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many records.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, last: int, as_json: bool) -> None:
    """The newest records of the trail, oldest first."""
    from selfopt.app import audit_records

    records = audit_records(open_app(ctx), last)
    if as_json:
        emit(records)
        return
    out = console()
    for record in records:
        _print_record(out, record)
    if not records:
        out.print("the audit trail is empty")


def _print_record(out: Console, record: AuditRecord, indent: int = 0) -> None:
    version = f" (rules version {record.config_version})" if record.config_version is not None else ""
    what = " ".join(part for part in (record.original_model, record.phase) if part)
    fallback = f" -> {record.fallback}" if record.fallback else ""
    say(out, f"{record.timestamp}  {record.event.replace('_', ' ')}  {what}{fallback}{version}", indent=indent, hang=indent + 4)
    if record.reason:
        say(out, record.reason, indent=indent + 4, hang=indent + 4)
    named = joined([*([record.rule_id] if record.rule_id else []), *record.evidence], 4)
    say(out, f"{named + '; ' if named else ''}hash {record.hash[:16]}", indent=indent + 4, hang=indent + 4, style="dim")


@command.command("verify")
@json_option
@click.pass_context
def verify(ctx: click.Context, /, as_json: bool) -> int:
    """Check every hash: of the audit trail, and of the live requests that it seals. Exit code 1 when they do not verify."""
    from dataclasses import asdict

    from selfopt.app import verify_audit, verify_requests

    app = open_app(ctx)
    report, requests = verify_audit(app), verify_requests(app)
    ok = report.ok and requests.ok
    if as_json:
        emit({**asdict(report), "ok": ok, "requests": asdict(requests)})
        return 0 if ok else 1
    out = console()
    if report.ok:
        say(out, f"the audit trail verifies: {report.n} records, head {report.head_hash[:16]}")
    else:
        where = f"at line {report.first_bad_line}" if report.first_bad_line else "as a whole"
        say(out, f"the audit trail does NOT verify {where}: {report.reason}")
    if report.torn_tail:
        say(out, "its last line is incomplete: it was never acknowledged, and the next record sets it aside", indent=2)
    if report.torn_aside:
        say(out, f"incomplete lines set aside earlier: {joined(report.torn_aside)}", indent=2)
    _print_requests(out, requests)
    return 0 if ok else 1


def _print_requests(out: Console, report: SegmentsReport) -> None:
    if not report.segments and report.ok:
        return
    if report.ok:
        say(out, f"the live requests verify: {report.n} records in {report.segments} file{'' if report.segments == 1 else 's'}")
    else:
        say(out, "the live requests do NOT verify:")
    say_some(out, report.problems)
    if report.unsealed:
        say(out, f"not sealed to their end yet: {joined(report.unsealed)}", indent=2, hang=4)
    if report.torn:
        say(out, f"ending in an incomplete line, which was never durable: {joined(report.torn)}", indent=2, hang=4)


@command.command("trace")
@click.argument("rule", nargs=-1, required=True)
@json_option
@click.pass_context
def trace(ctx: click.Context, /, rule: tuple[str, ...], as_json: bool) -> None:
    """From RULE (its id, or MODEL PHASE) down to the replies it rests on.

    \b
    selfopt audit trace local/smollm2-135m extended
    """
    from selfopt.app import trace_rule

    traced = trace_rule(open_app(ctx), " ".join(rule))
    if as_json:
        emit(traced)
    else:
        _print_trace(console(), traced)


def _print_trace(out: Console, traced: Traced) -> None:
    name = f": {traced.rule.model} {traced.rule.phase}" if traced.rule is not None else " (no longer in force)"
    say(out, f"rule {traced.rule_id}{name}", style="bold")
    out.print("audit records", style="bold")
    for record in traced.changes:
        _print_record(out, record, indent=2)
    _print_judgments(out, traced)
    _print_replies(out, traced)
    for missing in traced.missing:
        say(out, f"named as evidence, not in this ledger: {missing}", indent=2)


def _print_judgments(out: Console, traced: Traced) -> None:
    lists = {
        "recommendations": [(r.id, r.reason) for r in traced.recommendations],
        "decisions": [
            (d.decision_id, f"{d.verdict} {d.candidate_variant}: {', '.join(d.reason_codes)}") for d in traced.decisions
        ],
        "findings": [(f.finding_id, f.summary) for f in traced.findings],
        "evaluations": [
            (
                e.evaluation_id,
                f"{e.model} {e.phase} {e.variant}: accuracy {e.metrics.accuracy:.0%} over {e.n_runs} run{'' if e.n_runs == 1 else 's'}",
            )
            for e in traced.evaluations
        ],
    }
    for title, items in lists.items():
        if items:
            out.print(title, style="bold")
        for record_id, text in items:
            say(out, f"{record_id}: {text}", indent=2, hang=4)


def _print_replies(out: Console, traced: Traced) -> None:
    if traced.runs:
        out.print("runs and their replies", style="bold")
    for run in traced.runs:
        own = [(t, vs) for t, vs in traced.trials if t.run_id == run.run_id]
        say(out, f"{run.run_id}: {run.model} {run.phase}, {len(own)} trials, {run.at}", indent=2)
        for trial, verdicts in own:
            outcome = ", ".join(dict.fromkeys(v.outcome.value for v in verdicts)) or "not judged"
            say(out, f"{trial.prompt_id:5} {outcome:14} selfopt show {short_id(trial.trial_id)}", indent=4)
