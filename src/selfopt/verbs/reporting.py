"""`report`: writes the reports from the ledger and finds those that somebody changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import CorruptError, StoreError, SuiteError
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
    Spec,
    Suite,
    WarmUpExperiment,
)
from selfopt.report import Beside, cycle_results, history, write_reports
from selfopt.report.write import json_text
from selfopt.routing import differing_log
from selfopt.wiring.app import App
from selfopt.wiring.evidence import (
    check_recommendations,
    faults_of,
    ids_of,
    ledger_or_none,
    only_reads,
    require_ledger,
    verify_ledger,
)

from .costing import cost_figures
from .courses import newest_courses
from .routing import bans_in_force
from .set_names import set_names

_SHOWN: tuple[type[Record], ...] = (Evaluation, Cycle, Decision, Finding, Recommendation, WarmUpExperiment)


@dataclass(frozen=True, slots=True)
class Reported:
    """The written files, the check of the ledger, and the newest evaluation of every baseline.

    only_read: the home cannot be written, so that no file was.
    """

    written: tuple[Path, ...]
    checked: LedgerReport
    standing: tuple[Evaluation, ...]
    only_read: bool = False


def write_report(app: App) -> Reported:
    """Check the whole ledger and write all reports, with its faults at their top.

    Writes nothing in a home that cannot be written.

    Raises:
        UsageError: nothing was measured in this home.
    """
    require_ledger(app)
    checked = verify_ledger(app)
    only_read = only_reads(app)
    paths = [] if only_read else write_artefacts(app, checked.faults)
    standing = [newest_evaluation(app.ledger, spec_id) for _, spec_id in sorted(baselines(app.ledger).items())]
    return Reported(tuple(paths), checked, tuple(evaluation for evaluation in standing if evaluation is not None), only_read)


def write_artefacts(app: App, faults: Sequence[LedgerFault] | None = None) -> list[Path]:
    """Write all reports and artefacts of the home and return their paths.

    Args:
        faults: faults of the ledger for the top of the reports; None to check the records that
            the reports show, down to the verdicts.

    Raises:
        AuditError: the audit trail is damaged.
    """
    if faults is None:
        faults = faults_of(app, {pair for kind in _SHOWN for record in app.ledger.read(kind) for pair in ids_of(record)})
    rules, courses = app.enforcer.load(), newest_courses(app.ledger)
    called = set_names(app, rules.rules)
    beside = Beside(courses, faults, bans_in_force(app), cost_figures(app), called, _suites_at_hand(app))
    return write_reports(app.ledger, app.home, rules, beside)


def _suites_at_hand(app: App) -> dict[str, Suite]:
    """The suites that were measured and are still as they were, by their content ids."""
    found: dict[str, Suite] = {}
    specs = {evaluation.suite_hash: evaluation.spec_id for evaluation in app.ledger.read(Evaluation)}
    for suite_hash, spec_id in specs.items():
        spec = next(iter(app.ledger.read(Spec, {"id": spec_id}, limit=1)), None)
        with suppress(SuiteError):
            if spec is not None and (suite := app.suite_for(spec)).content_id() == suite_hash:
                found[suite_hash] = suite
    return found


def differing_renderings(app: App) -> tuple[str, ...]:
    """List the files that differ from the ledger and the audit trail because somebody changed them.

    Checks only files that are written when their content is final; others may simply be older than
    the ledger. No decision reads any of these files.
    """
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
        pass  # other checks report what cannot be read
    return tuple(str(path.relative_to(app.home.root)) for path in found)


def _content(path: Path) -> object:
    """Read a result without its notes about itself. None for a file that is no result."""
    try:
        body = parse_json_object(read_text_bounded(path, "the result"), what="the result", path=path)
    except StoreError:
        return None
    return {name: value for name, value in body.items() if name not in ("rendering", "faults")}
