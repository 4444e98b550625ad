"""How large a ledger is: in a file or in a database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from selfopt.errors import CorruptError

from .unwritable import read_only_uri

if TYPE_CHECKING:
    from .postgres import PostgresLedger

_DATABASE_BYTES = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'selfopt' AND c.relkind = 'r'"
)


@dataclass(frozen=True, slots=True)
class LedgerSize:
    """What a ledger holds.

    Attributes:
        place: the file or the database.
        size_bytes: what it takes on the disk, with its indexes.
        records: how many of each kind.
        blobs: texts, such as requests and replies.
        commits: transactions that stored them.
    """

    place: str
    size_bytes: int = 0
    records: dict[str, int] | None = None
    blobs: int = 0
    commits: int = 0


def size_of_file(path: Path) -> LedgerSize:
    """Returns the size of a ledger file; an empty one where there is no file. CorruptError when it cannot be read."""
    if not path.is_file():
        return LedgerSize(str(path), records={})
    try:
        with closing(sqlite3.connect(read_only_uri(path), uri=True, timeout=30.0)) as connection:
            kinds = dict(connection.execute("SELECT kind, count(*) FROM records GROUP BY kind ORDER BY kind").fetchall())
            blobs, commits = (
                int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in ("blobs", "commits")
            )
    except sqlite3.Error as error:
        raise CorruptError(f"{path} cannot be read: {error}; it was left as it is") from error
    files = (path, path.with_name(f"{path.name}-wal"))
    return LedgerSize(str(path), sum(one.stat().st_size for one in files if one.exists()), kinds, blobs, commits)


def size_of_database(ledger: PostgresLedger) -> LedgerSize:
    """Returns the size of a database's ledger. StoreError when it cannot be used."""
    kinds = ledger.ask("SELECT kind, count(*) FROM selfopt.record_keys GROUP BY kind ORDER BY kind")
    blobs, commits = (
        int(ledger.ask(f"SELECT coalesce(max(seq), 0) FROM selfopt.{table}")[0][0]) for table in ("blobs", "commits")
    )
    size = int(ledger.ask(_DATABASE_BYTES)[0][0])
    return LedgerSize(ledger.place, size, {str(kind): int(n) for kind, n in kinds}, blobs, commits)
