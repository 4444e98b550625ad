"""Checks that the ledger of a database holds what its writers committed and the audit trail sealed.

It is the check of a ledger file, on one state of the database. It never writes, and reads in parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

from selfopt.records import LedgerReport

from .blobs import InsideBlobs
from .postgres_schema import checked
from .postgres_session import DatabaseSession, Patience
from .postgres_storing import index_value
from .verifying import FoundFaults, Walk

_TOGETHER = 200

Sought = tuple[Set[tuple[str, str]], Set[str], Set[str]]


def verify_database(url: str, sealed: Mapping[str, Mapping[int, str]], only: Sought | None = None) -> LedgerReport:
    """Check the ledger of a database. Damaged content is reported, never raised.

    Args:
        sealed: the hashes that the audit trail sealed, by writer and number of commit.
        only: (kind, id) pairs, ids and kinds to check; None for everything.

    Raises:
        StoreError: the database cannot be used.
    """

    def work(connection: Any) -> LedgerReport:
        found = FoundFaults()
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute("SET LOCAL search_path = selfopt, pg_catalog")
            checked(connection, session.place)
            terms = _InSqliteTerms(connection)
            walk = Walk(cast(Any, terms), sealed, found, blobs, session.place, index_value)
            try:
                if only is None:
                    walk.all()
                else:
                    walk.some(*only)
            except (ValueError, TypeError, AttributeError, OverflowError) as error:
                found.add("ledger", session.place, "damaged", str(error))
            finally:
                terms.close()
        return found.report()

    session = DatabaseSession(url, "verify", Patience(0.0))
    blobs = InsideBlobs()
    try:
        return session.run(work)
    finally:
        blobs.close()
        session.close()


class _InSqliteTerms:
    """Asks PostgreSQL what the check asks a file, and reads long answers in parts."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursors: list[Any] = []

    def execute(self, text: str, values: Sequence[Any] = ()) -> Any:
        if values:
            return self._connection.execute(text.replace("?", "%s"), values)
        cursor = self._connection.cursor(name=f"part_{len(self._cursors)}")
        self._cursors.append(cursor)
        cursor.itersize = _TOGETHER
        return cursor.execute(text)

    def close(self) -> None:
        """Close all cursors."""
        for cursor in self._cursors:
            if not self._connection.broken:
                cursor.close()
