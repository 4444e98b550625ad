"""Opens the ledger of a home: its own file, or the database that the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from selfopt.errors import StoreError
from selfopt.home import ProcessLock
from selfopt.ledger import LedgerSeals, SqliteLedger, is_read_only, open_ledger

if TYPE_CHECKING:
    from selfopt.ledger.postgres import PostgresLedger

    from .app import App

    KeptLedger = SqliteLedger | PostgresLedger


def open_home_ledger(app: App, seals: LedgerSeals) -> KeptLedger:
    """Open the ledger of a home. Creates the home. Raises StoreError."""
    if app.settings.ledger is not None:
        from selfopt.ledger.postgres import open_postgres_ledger

        app.home.ensure()
        return open_postgres_ledger(
            app.settings.ledger,
            patience_s=app.settings.ledger_patience_s,
            after_commit=seals.committed,
            one_name=app.settings.one_name,
            note=app.home.ledger_note,
        )
    if not is_read_only(app.home.ledger):
        app.home.ensure()
    if app.home.ledger.exists() and not app.home.ledger.is_file():  # sqlite would wait for a pipe's other end
        raise StoreError(f"{app.home.ledger} is not a regular file; move it aside, or restore it from a copy")
    return open_ledger(app.home.ledger, after_commit=seals.committed, one_name=app.settings.one_name)


@contextmanager
def measuring(app: App, purpose: str) -> Iterator[None]:
    """Be the one process that measures: in this home, and in the database that holds its ledger.

    Raises LockedError, which names the other one.
    """
    with ProcessLock(app.home.lock)(purpose):
        if app.settings.ledger is None:
            yield
            return
        from selfopt.ledger.postgres import PostgresLedger

        ledger = app.ledger
        assert isinstance(ledger, PostgresLedger)
        ledger.take_measuring(purpose)
        try:
            yield
        finally:
            ledger.give_back_measuring()
