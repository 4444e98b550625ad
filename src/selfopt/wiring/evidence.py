"""Checks that records are still what was committed: for verification, reports and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TypeVar

from selfopt.errors import AuditError, CorruptError, StoreError, UsageError
from selfopt.home import escape_control
from selfopt.ledger import MemoryLedger, check_records, is_read_only, read_ledger_seals, verify_ledger_file
from selfopt.records import (
    AlphaSpent,
    Baseline,
    Decision,
    Evaluation,
    Ledger,
    LedgerFault,
    LedgerReport,
    PromptTest,
    RaceBlock,
    RaceBlockDiscarded,
    RaceEnd,
    RaceStart,
    Recommendation,
    Record,
    Trial,
    Verdict,
)

from .app import App

R = TypeVar("R", bound=Record)
Named = tuple[str, str]
_NAMED = 3
# Deleting one of these would bring back spent alpha or hide an unwelcome measurement or verdict.
_CONDITIONS = frozenset(
    kind.ledger_kind
    for kind in (AlphaSpent, Baseline, Decision, Evaluation, PromptTest, RaceBlock, RaceBlockDiscarded, RaceEnd, RaceStart)
)


def ledger_or_none(app: App) -> Ledger:
    """Return the home's ledger, or an empty one in memory where nothing was measured, or this user may not read it.

    So looking at a home creates nothing in it, and a gateway's user sees the rules.
    """
    return app.ledger if app.has_ledger and not for_rules(app) else MemoryLedger()


def for_rules(app: App) -> bool:
    """Whether the ledger's database lets this user only read and add rules. StoreError when it cannot be used."""
    return app.has_ledger and getattr(app.kept_ledger, "for_rules", False)


def only_reads(app: App) -> bool:
    """Whether this home has a ledger, and it cannot be written."""
    return app.settings.ledger is None and is_read_only(app.home.ledger)


def require_ledger(app: App) -> None:
    """Raise UsageError when nothing was measured in this home."""
    if not app.has_ledger:
        raise UsageError(f"nothing was measured yet in {app.home.root}; start with: selfopt run MODEL PHASE")


def verify_ledger(app: App) -> LedgerReport:
    """Check the whole ledger against its commits and their seals in the audit trail.

    Only reads. Reports damage instead of raising.
    """
    try:
        return _verified(app, read_ledger_seals(app.enforcer.trail, ledger_id_of(app)))
    except AuditError as error:
        fault = LedgerFault(kind="seals", id=app.home.audit_trail.name, what="damaged", detail=str(error))
        report = _verified(app, {})
        return report.model_copy(
            update={"ok": False, "faults": (fault, *report.faults), "n_faults": report.n_faults + 1, "unsealed": report.commits}
        )


def faults_of(app: App, only: Iterable[Named], names: Iterable[str] = (), kinds: Iterable[str] = ()) -> tuple[LedgerFault, ...]:
    """List records that are not as they were committed, and faults of the chains that list them.

    Args:
        only: check these (kind, id) pairs.
        names: check what was committed under these ids.
        kinds: check what was committed of these kinds.

    Raises:
        AuditError: the audit trail cannot be read.
    """
    seals = read_ledger_seals(app.enforcer.trail, ledger_id_of(app))
    sought = frozenset(only), frozenset(names), frozenset(kinds)
    if app.settings.ledger is not None:
        from selfopt.ledger.postgres_verifying import verify_database

        return verify_database(app.settings.ledger, seals, sought).faults
    return check_records(app.home.ledger, seals, *sought).faults


def ledger_id_of(app: App) -> str:
    """Return what tells a database's ledger from others in the audit trail; empty for the home's own file."""
    return app.kept_ledger.ledger_id if app.settings.ledger is not None else ""


def _verified(app: App, seals: Mapping[str, Mapping[int, str]]) -> LedgerReport:
    if app.settings.ledger is not None:
        from selfopt.ledger.postgres_verifying import verify_database

        return verify_database(app.settings.ledger, seals)
    return verify_ledger_file(app.home.ledger, seals)


def check_evidence(app: App, evaluations: Iterable[Evaluation], evidence: Iterable[str] = ()) -> None:
    """Check everything that a decision on these evaluations rests on.

    That includes the baselines in force and the races of the same models and phases.

    Args:
        evidence: ids of further records that the decision names.

    Raises:
        CorruptError: something is not as it was committed; names the first faults.
        AuditError: the audit trail cannot be read.
    """
    if not app.has_ledger and not evidence:
        return
    ledger = ledger_or_none(app)
    names = frozenset(evidence)
    found = [*evaluations, *(e for name in names for e in readable(ledger.read(Evaluation, {"id": name}, limit=1)))]
    only = {pair for evaluation in found for pair in ids_of(evaluation)}
    only |= {pair for record in ledger.read(Baseline) for pair in (("baseline", record.baseline_id), ("spec", record.spec_id))}
    only |= set(_races(ledger, {(e.model, e.phase) for e in found}))
    faults = faults_of(app, only, names, _CONDITIONS)
    if faults:
        more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        named = "; ".join(fault.sentence() for fault in faults[:_NAMED])
        raise CorruptError(
            f"the evidence is not what was committed: {named}{more}; nothing was decided and no rule was changed: see "
            "`selfopt audit verify`, restore the ledger from a copy or begin in a new home"
        )


def check_recommendations(app: App, recommendations: Iterable[Recommendation]) -> None:
    """Raise StoreError when a recommendation of harness_feedback.json differs from the ledger's.

    The file shows recommendations; only the ledger makes them valid.
    """
    ledger = ledger_or_none(app)
    for told in recommendations:
        kept = next(ledger.read(Recommendation, {"id": told.id}, limit=1), None)
        if kept is None or kept.model_copy(update={"cycle_id": told.cycle_id}) != told:
            how = "is not in the ledger" if kept is None else "differs from the one in the ledger"
            raise StoreError(
                f"recommendation {escape_control(told.id, 80)} of {app.home.feedback} {how}: the file was changed, or belongs to "
                "another home; write it again with `selfopt feedback`, or take it as it is with `selfopt enforce --input FILE`"
            )


def ids_of(record: Record) -> Iterator[Named]:
    """Yield the (kind, id) of a record and of what it rests on.

    Follows an evaluation down to its verdicts and a trial down to its requests and replies.
    """
    yield record.ledger_kind, record.record_id
    if isinstance(record, Evaluation):
        yield "spec", record.spec_id
        yield "environment", record.environment_id
        yield from (("run", run_id) for run_id in (*record.run_ids, *record.determinism_run_ids))
        for trial_id in (trial_id for row in record.rows for trial_id in row.trial_ids):
            yield "trial", trial_id
            yield "verdict", Verdict.make_id(trial_id, record.parser_hash, record.scorer_hash)
    elif isinstance(record, Trial):
        for exchange in record.exchanges:
            texts = [exchange.content, exchange.logprobs, *(text for a in exchange.attempts for text in (a.request, a.reply))]
            yield from (("blob", text) for text in texts if text)


def _races(ledger: Ledger, keys: set[tuple[str, str]]) -> Iterator[Named]:
    for start in ledger.read(RaceStart):
        if (start.model, start.phase) not in keys:
            continue
        yield start.ledger_kind, start.race_id
        for kind in (RaceBlock, RaceBlockDiscarded):
            yield from ((kind.ledger_kind, block.record_id) for block in ledger.read(kind, {"race_id": start.race_id}))
        for block in ledger.read(RaceBlock, {"race_id": start.race_id}):
            yield from (("trial", trial_id) for trials in block.trial_ids.values() for trial_id in trials)
        yield from ((RaceEnd.ledger_kind, end.race_id) for end in ledger.read(RaceEnd, {"id": start.race_id}))
    yield from ((test.ledger_kind, test.test_id) for test in ledger.read(PromptTest))
    yield from ((spent.ledger_kind, spent.spending_id) for spent in ledger.read(AlphaSpent))


def readable(records: Iterator[R]) -> Iterator[R]:
    """Yield records up to the first unreadable one, which the check of the evidence reports."""
    with suppress(CorruptError):
        yield from records
