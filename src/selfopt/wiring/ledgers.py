"""Opens the ledger of a home: its own file, or the database that the settings name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from selfopt.errors import StoreError
from selfopt.ledger import BlobStore, InsideBlobs, LedgerSeals, ObjectBlobs, SqliteLedger, is_read_only, open_ledger
from selfopt.records import RoutingConfig

logger = logging.getLogger("selfopt.wiring")

if TYPE_CHECKING:
    from selfopt.ledger.postgres import PostgresLedger

    from .app import App

    KeptLedger = SqliteLedger | PostgresLedger


def blob_store(app: App) -> BlobStore:
    """Return what keeps the texts of blobs. Contacts nobody."""
    patience_s, place = app.settings.ledger_patience_s, app.settings.blobs
    return InsideBlobs(patience_s) if place is None else ObjectBlobs(place, patience_s)


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
            blobs=blob_store(app),
        )
    if not is_read_only(app.home.ledger):
        app.home.ensure()
    if app.home.ledger.exists() and not app.home.ledger.is_file():  # sqlite would wait for a pipe's other end
        raise StoreError(f"{app.home.ledger} is not a regular file; move it aside, or restore it from a copy")
    return open_ledger(app.home.ledger, after_commit=seals.committed, one_name=app.settings.one_name, blobs=blob_store(app))


def before_rules(app: App) -> None:
    """Seal the ledger before a change of the rules, and take over what a database handed out meanwhile.

    A ledger that cannot be opened is only logged, so that rules can still be changed by hand.

    Raises:
        AuditError: the trail cannot be written.
        StoreError: rules are handed out by a database, and it cannot be used.
    """
    if app.has_ledger:
        try:
            _ = app.ledger
        except StoreError as error:
            logger.warning("the rules are changed, but the ledger could not be sealed before: %s", error)
        else:
            app.seal()
    if app.handed is not None:
        app.handed.begin_change()


def after_rules(app: App, config: RoutingConfig) -> None:
    """Hand a new version of the rules out, where a database does that. StoreError when that fails."""
    if app.handed is not None:
        app.handed.add(config)
