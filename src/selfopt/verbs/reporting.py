"""`report`: everything that people read, written from the ledger; and whether it still says what was written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import CorruptError, StoreError
from selfopt.feedback import load_feedback
from selfopt.home import parse_json_object, read_text_bounded
from selfopt.loop import baselines, newest_evaluation
from selfopt.records import (
    Cycle,
    Decision,
    Evaluation,
    Finding,
    LedgerFault,
    LedgerReport,
    Recommendation,
    Record,
    WarmUpExperiment,
)
from selfopt.report import cycle_results, history, write_reports
from selfopt.report.write import json_text
from selfopt.routing import differing_log
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_recommendations, faults_of, ids_of, ledger_or_none, require_ledger, verify_ledger

from .courses import newest_courses

_SHOWN: tuple[type[Record], ...] = (Evaluation, Cycle, Decision, Finding, Recommendation, WarmUpExperiment)


@dataclass(frozen=True, slots=True)
class Reported:
    """The files that were written, how the ledger was checked before, and the newest evaluation of every baseline."""

    written: tuple[Path, ...]
    checked: LedgerReport
    standing: tuple[Evaluation, ...]


def write_report(app: App) -> Reported:
    """All reports and artefacts from a ledger that is checked whole; what is wrong with it stands at their top.

    UsageError where nothing was measured yet.
    """
    require_ledger(app)
    checked = verify_ledger(app)
    paths = write_artefacts(app, checked.faults)
    standing = [newest_evaluation(app.ledger, spec_id) for _, spec_id in sorted(baselines(app.ledger).items())]
    return Reported(tuple(paths), checked, tuple(evaluation for evaluation in standing if evaluation is not None))


def write_artefacts(app: App, faults: Sequence[LedgerFault] | None = None) -> list[Path]:
    """Write all reports and artefacts of the home; returns their paths. faults: what of the ledger is not as it was committed, to
    stand at their top; None: what of it they show."""
    if faults is None:
        faults = faults_of(app, {pair for kind in _SHOWN for record in app.ledger.read(kind) for pair in ids_of(record)})
    return write_reports(app.ledger, app.home, app.enforcer.load(), newest_courses(app.ledger), faults)


def differing_renderings(app: App) -> tuple[str, ...]:
    """Files that do not say what the ledger and the trail say, by name: somebody changed them. Only those that are written at the
    moment when what they show is final; the others may be older than the ledger without anybody's doing. None of them is read for
    a decision."""
    found = []
    try:
        ledger = ledger_or_none(app)
        cycles = {app.home.reports / f"CYCLE_{c.number}_RESULTS.json": cycle_results(c) for c in ledger.read(Cycle)}
        for path, told in {**cycles, app.home.loop_history: history(ledger)}.items():
            if path.exists() and _content(path) != json.loads(json_text(told)):
                found.append(path)
        if app.home.feedback.exists():
            try:
                feedback = load_feedback(app.home.feedback)
                check_recommendations(app, feedback.recommendations)
                if not all(f in ledger.read(Finding, {"id": f.finding_id}, limit=1) for f in feedback.findings):
                    found.append(app.home.feedback)
            except StoreError:
                found.append(app.home.feedback)
        if app.home.audit_log.exists() and differing_log(app.enforcer.trail):
            found.append(app.home.audit_log)
    except CorruptError:
        pass  # what cannot be read has been named as such
    return tuple(str(path.relative_to(app.home.root)) for path in found)


def _content(path: Path) -> object:
    """What a result says, but for what it says of itself; None for what is no result at all."""
    try:
        body = parse_json_object(read_text_bounded(path, "the result"), what="the result", path=path)
    except StoreError:
        return None
    return {name: value for name, value in body.items() if name not in ("rendering", "faults")}
