"""`ledger migrate`: makes the ledger of a database, or brings it up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.errors import UsageError
from selfopt.settings import check_database_url
from selfopt.wiring.app import App


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
