"""`selfopt audit show | verify | trace`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .common import console, emit, joined, json_option, open_app, say, short_id

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.app import Traced
    from selfopt.home import SegmentsReport
    from selfopt.records import AuditRecord, LedgerFault, LedgerReport

SHOWN_FAULTS = 10


@click.group("audit")
def command() -> None:
    """Show, verify or trace the audit trail."""


@command.command("show")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many records.")
@click.option("--all", "seals", is_flag=True, help="Also those that only vouch for the ledger.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, last: int, seals: bool, as_json: bool) -> None:
    """The newest records of the trail, oldest first."""
    from selfopt.app import audit_records

    records = audit_records(open_app(ctx), last, seals=seals)
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
    """Check every hash: of the audit trail, of the live requests and of the ledger's records that it seals. Exit code 1 when the
    trail or the requests do not verify, 100 when the ledger is not what was committed to it."""
    from dataclasses import asdict

    from selfopt.app import differing_renderings, verify_audit, verify_ledger, verify_requests

    app = open_app(ctx)
    report, requests, ledger = verify_audit(app), verify_requests(app), verify_ledger(app)
    ok = report.ok and requests.ok
    code = 0 if ok and ledger.ok else 100 if ok else 1
    renderings = differing_renderings(app) if ok else ()
    if as_json:
        emit({**asdict(report), "ok": not code, "requests": asdict(requests), "ledger": ledger, "renderings": renderings})
        return code
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
    _print_ledger(out, ledger)
    if renderings:
        say(out, f"not what the ledger and the trail say, but only written from them: {joined(renderings)}", hang=2)
        say(out, "nothing is decided by these files: `selfopt report` and `selfopt feedback` write them anew", indent=2)
    return code


def _print_ledger(out: Console, report: LedgerReport) -> None:
    if not report.commits and report.ok:
        return
    if report.ok:
        say(out, f"the ledger verifies: {report.records} records and {report.blobs} texts in {report.commits} commits")
    else:
        say(out, f"the ledger is NOT what was committed to it: {report.n_faults} fault{'' if report.n_faults == 1 else 's'}")
    _print_faults(out, report.faults, report.n_faults)
    if report.unsealed:
        say(out, f"not sealed yet, since their writer is at work or was killed: {report.unsealed} commits", indent=2, hang=4)


def _print_faults(out: Console, faults: Sequence[LedgerFault], n: int) -> None:
    for fault in faults[:SHOWN_FAULTS]:
        say(out, fault.sentence(), indent=2, hang=4)
    if n > SHOWN_FAULTS:
        say(out, f"and {n - SHOWN_FAULTS} more", indent=2)


def _print_requests(out: Console, report: SegmentsReport) -> None:
    if not report.segments and report.ok:
        return
    if report.ok:
        say(out, f"the live requests verify: {report.n} records in {report.segments} file{'' if report.segments == 1 else 's'}")
    else:
        say(out, "the live requests do NOT verify:")
    for problem in report.problems[:20]:
        say(out, problem, indent=2, hang=4)
    if len(report.problems) > 20:
        say(out, f"and {len(report.problems) - 20} more", indent=2)
    if report.unsealed:
        say(out, f"not sealed to their end yet: {joined(report.unsealed)}", indent=2, hang=4)
    if report.torn:
        say(out, f"ending in an incomplete line, which was never durable: {joined(report.torn)}", indent=2, hang=4)


@command.command("trace")
@click.argument("rule", nargs=-1, required=True)
@json_option
@click.pass_context
def trace(ctx: click.Context, /, rule: tuple[str, ...], as_json: bool) -> int:
    """From RULE (its id, or MODEL PHASE) down to the replies it rests on. Exit code 100 when something of that is missing, or is
    not what was committed.

    \b
    selfopt audit trace local/smollm2-135m extended
    """
    from selfopt.app import trace_rule

    traced = trace_rule(open_app(ctx), " ".join(rule))
    if as_json:
        emit(traced)
    else:
        _print_trace(console(), traced)
    return 100 if traced.faults or traced.missing else 0


def _print_trace(out: Console, traced: Traced) -> None:
    name = f": {traced.rule.model} {traced.rule.phase}" if traced.rule is not None else " (no longer in force)"
    say(out, f"rule {traced.rule_id}{name}", style="bold")
    out.print("audit records", style="bold")
    for record in traced.changes:
        _print_record(out, record, indent=2)
    _print_judgments(out, traced)
    _print_replies(out, traced)
    told = {fault.id for fault in traced.faults}
    missing = [name for name in traced.missing if name not in told]
    if traced.faults or missing:
        say(out, "this evidence is NOT what was committed", style="bold")
    _print_faults(out, traced.faults, len(traced.faults))
    for name in missing:
        say(out, f"{name} missing: it is named as evidence and not in this ledger", indent=2)


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
