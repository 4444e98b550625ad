"""`ledger`: makes the ledger of a database, moves one into it, and says how large it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import UsageError
from selfopt.settings import check_database_url
from selfopt.wiring.app import App
from selfopt.wiring.holding import database_of


@dataclass(frozen=True, slots=True)
class MigratedLedger:
    """What a migration did.

    Attributes:
        place: the database.
        before, after: versions of its schema; 0 where there was none.
        grant, gateways: the users that got a role.
    """

    place: str
    before: int
    after: int
    grant: tuple[str, ...]
    gateways: tuple[str, ...]


def migrate_ledger(
    app: App, url: str | None = None, *, grant: Sequence[str] = (), gateways: Sequence[str] = ()
) -> MigratedLedger:
    """Make the ledger of a database, or bring it up to date.

    Args:
        url: the database, as a user who may create there; None for that of the settings.
        grant: users that may measure.
        gateways: users that may serve, and read no prompts.

    Raises:
        UsageError: no database is named, or there is no such user.
        StoreError: the database cannot be used, or its ledger is newer.
    """
    named = url or app.settings.ledger
    if named is None:
        raise UsageError("no database is named; give its URL, or set ledger in your own settings")
    try:
        named = check_database_url(named)
    except ValueError as error:
        raise UsageError(f"the URL of the database: {error}") from None
    from selfopt.ledger.postgres_schema import migrate
    from selfopt.ledger.postgres_session import place_of

    before, after = migrate(named, grant, gateways)
    return MigratedLedger(place_of(named), before, after, tuple(grant), tuple(gateways))


@dataclass(frozen=True, slots=True)
class ImportedLedger:
    """What an import did.

    Attributes:
        place: the database.
        records, blobs: how many records and texts the file has. All of them are in the database.
        new_records, new_blobs: how many were not there before.
        digest: sha256 of the kind, id and hash of everything in the file, in order.
    """

    place: str
    records: int
    blobs: int
    new_records: int
    new_blobs: int
    digest: str


def import_ledger(
    app: App, source: str | Path | None = None, tell: Callable[[int, int], None] = lambda done, total: None
) -> ImportedLedger:
    """Move a ledger file into the database of the settings. The file stays as it is; a second call goes on.

    Args:
        source: a home, or its ledger file; None: this home.
        tell: called with how many steps are done, and how many there are.

    Raises:
        UsageError: the settings name no database, or there is no such file.
        CorruptError: the file is not what was committed to it, or the database has other content.
        LockedError: somebody measures in that home, or one of its models.
        StoreError: the database cannot be used, or has measured one of the models by itself.
    """
    from selfopt.wiring.moving import import_home_ledger

    place, done = import_home_ledger(app, None if source is None else Path(source), tell)
    return ImportedLedger(place, done.records, done.blobs, done.new_records, done.new_blobs, done.digest)


@dataclass(frozen=True, slots=True)
class ShownLedger:
    """What a ledger holds.

    Attributes:
        place: the file or the database.
        size_bytes: what it takes on the disk, with its indexes.
        records: how many there are of each kind.
        blobs: how many texts, such as requests and replies.
        commits: how many transactions stored them.
        held: who works on what in a database at this moment, in words.
    """

    place: str
    size_bytes: int
    records: dict[str, int]
    blobs: int
    commits: int
    held: tuple[str, ...] = ()


def show_ledger(app: App) -> ShownLedger:
    """Say how large the ledger is that the settings name, and who works under it.

    Raises StoreError when it cannot be read.
    """
    from selfopt.ledger.sizing import size_of_database, size_of_file

    if app.settings.ledger is None:
        found, held = size_of_file(app.home.ledger), list[str]()
    else:
        ledger = database_of(app)
        found, held = size_of_database(ledger), [str(holder) for holder in ledger.holders()]
    return ShownLedger(found.place, found.size_bytes, dict(found.records or {}), found.blobs, found.commits, tuple(held))
