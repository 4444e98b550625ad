"""Moves the ledger of a home into the database that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from selfopt.errors import CorruptError, StoreError, UsageError
from selfopt.home import AuditEvent, ChainedFile, Home, ProcessLock, counted, escape_control
from selfopt.ledger import LEDGER_IMPORTED_EVENT, read_ledger_seals, verify_ledger_file
from selfopt.ledger.importing import ImportedFile, import_file, models_of

from .app import App
from .holding import database_of, model_name


def import_home_ledger(app: App, source: Path | None, tell: Callable[[int, int], None]) -> tuple[str, ImportedFile]:
    """Move a ledger file into the database of the settings. The file stays as it is.

    Args:
        source: a home, or its ledger file; None: the one of this home.

    Returns:
        The database, for people, and what was done.

    Raises:
        UsageError: the settings name no database, or there is no such file.
        CorruptError: the file is not what was committed to it, or the database has other content.
        LockedError: somebody measures in the home, or one of its models.
        StoreError: the database cannot be used, or has newer measurements of the same models.
    """
    if app.settings.ledger is None:
        raise UsageError("the settings name no database to import into; set ledger in your own settings")
    given = source or app.home.root
    path = given / "ledger.sqlite3" if given.is_dir() else given
    shown = escape_control(str(path), 300)
    if not path.is_file():
        raise UsageError(f"there is no ledger at {shown}; name a home, or its ledger.sqlite3")
    home = Home(path.parent)
    with ProcessLock(path.with_name("lock"))("ledger import"):
        trail = home.audit_trail if path.name == "ledger.sqlite3" else path.with_name("no trail")
        sealed = read_ledger_seals(ChainedFile(trail)) if trail.is_file() else {}
        report = verify_ledger_file(path, sealed)
        if report.older:
            raise StoreError(f"{shown} was made by an older selfopt; run selfopt report in its home, then repeat the import")
        if not report.ok:
            fault = report.faults[0]
            raise CorruptError(
                f"{shown} is not what was committed to it ({counted(report.n_faults, 'fault')}; {fault.kind} {fault.id} {fault.what}); "
                "nothing was imported, see `selfopt audit verify` in its home"
            )
        ledger = database_of(app)
        names = [model_name(app, model) for model in models_of(path)]
        ledger.take(names, "ledger import")
        try:
            done = import_file(path, ledger, tell)
            app.home.ensure()
            _note(app, ledger.ledger_id, path, done)
            app.seal()
        finally:
            ledger.give_back(names)
    return ledger.place, done


def _note(app: App, ledger_id: str, path: Path, done: ImportedFile) -> None:
    """Tell the audit trail which chains of commits went into which database, so that both stay provable."""
    reason = f"{counted(done.records, 'record')} and {counted(done.blobs, 'text')} of {path} are in the database"
    details = {
        "ledger": ledger_id,
        "heads": [[head.writer, head.n, head.hash] for head in done.heads],
        "records": done.records,
        "blobs": done.blobs,
        "digest": done.digest,
    }
    app.enforcer.trail.append_all(
        [AuditEvent(LEDGER_IMPORTED_EVENT, {"reason": escape_control(reason, 500), "details": details})]
    )
