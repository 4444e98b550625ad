"""`selfopt audit show | verify | anchor | trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import CommandGroup, console, counted, emit, joined, json_option, open_app, say, say_each, say_some, short_id
from .exit_codes import says

if TYPE_CHECKING:
    from rich.console import Console

    from selfopt.records import AuditRecord
    from selfopt.verbs.routing import Traced
    from selfopt.verbs.verifying import Part


@click.group("audit", cls=CommandGroup)
def command() -> None:
    """Show, verify, anchor or trace the audit trail."""


@command.command("show")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many records.")
@click.option("--all", "seals", is_flag=True, help="Also records that only vouch for the ledger.")
@json_option
@click.pass_context
def show(ctx: click.Context, /, last: int, seals: bool, as_json: bool) -> None:
    """Show the newest records of the trail, the oldest first."""
    from selfopt.verbs.routing import audit_records

    records = audit_records(open_app(ctx), last, seals=seals)
    if as_json:
        emit(records)
        return
    for record in records:
        _print_record(console(), record)
    if not records:
        say(console(), "the audit trail is empty")


def _print_record(out: Console, record: AuditRecord, indent: int = 0) -> None:
    version = f" (rules version {record.config_version})" if record.config_version is not None else ""
    what = " ".join(part for part in (record.original_model, record.phase) if part)
    fallback = f" -> {record.fallback}" if record.fallback else ""
    say(out, f"{record.timestamp}  {record.event.replace('_', ' ')}  {what}{fallback}{version}", indent=indent, hang=indent + 4)
    if record.reason:
        say(out, record.reason, indent=indent + 4, hang=indent + 4)
    named = joined(filter(None, [record.rule_id, *record.evidence]), 4)
    say(out, f"{named + '; ' if named else ''}hash {record.hash[:16]}", indent=indent + 4, hang=indent + 4, style="dim")


@command.command("verify")
@click.option(
    "--anchor", "anchors", multiple=True, metavar="ANCHOR", help="What `audit anchor` printed earlier; can be repeated."
)
@json_option
@click.pass_context
def verify(ctx: click.Context, /, anchors: tuple[str, ...], as_json: bool) -> int:
    """Check everything that vouches for the past.

    That is the audit trail, rules with every version, live requests, API keys and the ledger. Exit
    code 100 when any of it is not what was written.
    """
    from dataclasses import asdict

    from selfopt.verbs.verifying import verify_home

    report = verify_home(open_app(ctx), anchors)
    if as_json:
        trail, *others = report.parts
        emit({**asdict(trail.facts), "ok": report.ok, **{part.key: part.facts for part in others}})
    else:
        for part in report.parts:
            _print_part(console(), part)
    return says(report.ok)


def _print_part(out: Console, part: Part) -> None:
    many = part.name.endswith("s")
    if part.ok:
        say(out, f"the {part.name} {'verify' if many else 'verifies'}: {part.said}")
    else:
        say(out, f"the {part.name} {'do' if many else 'does'} NOT verify {part.said}:", style="bold dark_orange")
    say_some(out, part.problems)
    say_each(out, part.notes, indent=2, hang=4, style="dim")


@command.command("anchor")
@json_option
@click.pass_context
def anchor(ctx: click.Context, /, as_json: bool) -> None:
    """Print one line to keep elsewhere.

    It proves later that the past until now is unchanged.

    \b
    selfopt audit anchor
    selfopt audit verify --anchor selfopt-anchor-1:COUNT:HASH
    """
    from selfopt.verbs.verifying import anchor_of, audit_anchor

    made = audit_anchor(open_app(ctx))
    if as_json:
        n, head_hash = anchor_of(made)
        emit({"anchor": made, "n": n, "head_hash": head_hash})
    else:
        print(made)


@command.command("trace")
@click.argument("rule", nargs=-1, required=True)
@json_option
@click.pass_context
def trace(ctx: click.Context, /, rule: tuple[str, ...], as_json: bool) -> int:
    """Trace a rule down to the replies it rests on.

    RULE is its id, or MODEL PHASE. Exit code 100 when something of that is missing, or is not what
    was committed.

    \b
    selfopt audit trace local/smollm2-135m extended
    """
    from selfopt.verbs.routing import trace_rule

    traced = trace_rule(open_app(ctx), " ".join(rule))
    if as_json:
        emit(traced)
    else:
        _print_trace(console(), traced)
    return says(not (traced.faults or traced.missing))


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
    absent = (f"{name} is missing: the evidence names it, and this ledger does not hold it" for name in missing)
    say_some(out, [*(fault.sentence() for fault in traced.faults), *absent])


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
                f"{e.model} {e.phase} {e.variant}: accuracy {e.metrics.accuracy:.0%} over {counted(e.n_runs, 'run')}",
            )
            for e in traced.evaluations
        ],
    }
    for title, items in lists.items():
        if items:
            out.print(title, style="bold")
        say_each(out, (f"{record_id}: {text}" for record_id, text in items), indent=2, hang=4)


def _print_replies(out: Console, traced: Traced) -> None:
    if traced.runs:
        out.print("runs and their replies", style="bold")
    for run in traced.runs:
        own = [(t, vs) for t, vs in traced.trials if t.run_id == run.run_id]
        say(out, f"{run.run_id}: {run.model} {run.phase}, {counted(len(own), 'trial')}, {run.at}", indent=2)
        for trial, verdicts in own:
            outcome = ", ".join(dict.fromkeys(v.outcome.value for v in verdicts)) or "not judged"
            say(out, f"{trial.prompt_id:5} {outcome:14} selfopt show {short_id(trial.trial_id)}", indent=4)
