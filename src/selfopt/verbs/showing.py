"""`show`: shows everything about one trial."""

from __future__ import annotations

import contextlib
from itertools import zip_longest

from selfopt.errors import SuiteError
from selfopt.ledger import resolve
from selfopt.measure.show import ShownTrial, show_trial
from selfopt.records import (
    Blob,
    Check,
    Evaluation,
    LedgerFault,
    Run,
    Spec,
    Trial,
)
from selfopt.wiring.app import App
from selfopt.wiring.evidence import faults_of, ids_of, require_ledger

__all__ = ["ShownTrial", "check_faults", "shown_check", "shown_faults", "shown_trial", "warm_up_texts"]


def shown_trial(app: App, prefix: str) -> ShownTrial:
    """Return everything about one trial, by its id or an unambiguous beginning of it."""
    require_ledger(app)
    trial = resolve(app.ledger, Trial, prefix)
    run = next(app.ledger.read(Run, {"id": trial.run_id}, limit=1), None)
    spec = next(app.ledger.read(Spec, {"id": run.spec_id}, limit=1), None) if run is not None else None
    suites = []
    if spec is not None:
        with contextlib.suppress(SuiteError):  # without the suite's file, what it expected is not shown
            suites.append(app.suite_for(spec))
    return show_trial(app.ledger, trial.trial_id, suites)


def shown_check(app: App, prefix: str) -> Check:
    """Return a check, by its id or an unambiguous beginning of it. UsageError when there is none."""
    require_ledger(app)
    return resolve(app.ledger, Check, prefix)


def check_faults(app: App, check: Check) -> tuple[LedgerFault, ...]:
    """List what of a check, down to the trials that it rests on, is not as it was committed."""
    trials = ((Trial.ledger_kind, name) for row in check.rows for name in (*row.trial_ids, *row.before_trial_ids))
    evaluations = ((Evaluation.ledger_kind, name) for name in check.evaluation_ids)
    return faults_of(app, {(Check.ledger_kind, check.check_id), *trials, *evaluations})


def shown_faults(app: App, shown: ShownTrial) -> tuple[LedgerFault, ...]:
    """List what of a shown trial, down to its texts, is not as it was committed."""
    return faults_of(app, {pair for record in (shown.trial, shown.run, shown.spec, *shown.verdicts) for pair in ids_of(record)})


def warm_up_texts(app: App, run: Run) -> list[tuple[str | None, str | None]]:
    """Return the requests and replies of a run's warm-up, in order.

    None stands for a text that was not kept or did not come. Escape control characters before
    showing the texts on a terminal.
    """
    kept = {
        blob.blob_hash: blob.text
        for blob_hash in (*run.warm_up.requests, *run.warm_up.replies)
        for blob in app.ledger.read(Blob, {"id": blob_hash}, limit=1)
    }
    pairs = zip_longest(run.warm_up.requests, run.warm_up.replies, fillvalue="")
    return [(kept.get(request), kept.get(reply)) for request, reply in pairs]
