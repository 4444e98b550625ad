"""The tables of a ledger file, its migrations, and the checks before it is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from selfopt.errors import CorruptError, NewerSchemaError

from .codec import decode, encode, record_types
from .commits import CommitHead, blob_entry, commit_body, commit_hash, record_entry

MANY_KINDS = frozenset({"trial", "trial_start", "verdict"})
"""Kinds that make up nearly all records.

Reading one of them scans the table, so no index lists them by kind.
"""

FEW = "kind NOT IN ('trial', 'trial_start', 'verdict')"
"""The condition of the index by kind, for all other kinds.

A query must repeat it to use that index.
"""

APPLICATION_ID = 0x53464F50  # "SFOP" in the file's header: distinguishes a ledger from other databases

# The leading columns are ids, so that the entries of a trial, its start and its verdict lie on the same few pages. A commit
# costs by pages: this saves a third of the CPU per trial, compared with the kind in front.
_V1 = (
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,"
    " UNIQUE (id, kind))",
    f"CREATE INDEX records_by_kind ON records (kind) WHERE {FEW}",
    "CREATE TABLE record_index (value NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY (value, kind, field, seq)) WITHOUT ROWID",
    "CREATE TABLE indexed_fields (kind TEXT NOT NULL, field TEXT NOT NULL, PRIMARY KEY (kind, field)) WITHOUT ROWID",
    "CREATE TABLE blobs (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, codec INTEGER NOT NULL, data BLOB NOT NULL)",
)

# Rows are only ever added at the end. There is no index, so that a trial dirties one more page and not two.
_V2 = (
    "CREATE TABLE commits (seq INTEGER PRIMARY KEY, writer TEXT NOT NULL, n INTEGER NOT NULL, hash TEXT NOT NULL,"
    " body TEXT NOT NULL)",
    "CREATE TABLE sealed (id INTEGER PRIMARY KEY CHECK (id = 1), upto INTEGER NOT NULL)",
    "INSERT INTO sealed VALUES (1, 0)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2)
"""Statements that bring a file from version n to n + 1, by n.

A released migration is never edited.
"""

SCHEMA_VERSION = len(MIGRATIONS)

VERSION_WITH_OBJECTS = 3
"""The version of a file from its first blob whose text is elsewhere. Its tables are those of version 2.

A selfopt that cannot read such a blob refuses the file; all others stay readable for it. The next
migration makes version 4.
"""

SEALED_TOO_FAR = "SELECT max(upto) > (SELECT coalesce(max(seq), 0) FROM commits) FROM sealed"
"""Whether the note of what is sealed names commits that do not exist.

Then the next commits would never be sealed.
"""

UPGRADE = "upgrade-"
"""The prefix of a writer whose commits list what an older selfopt stored without commits."""

_LISTED_TOGETHER = 1000


def check_magic(path: Path) -> None:
    """Raises CorruptError when the file is not an sqlite database.

    An empty file is a new ledger.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head and head != b"SQLite format 3\0":
        raise CorruptError(f"{path} is not a ledger (it does not start like a database); it was left as it is, move it away")


def needs_migration(connection: sqlite3.Connection, path: Path) -> bool:
    """Returns whether `prepare` has something to do.

    Raises NewerSchemaError for the file of a newer selfopt, CorruptError for another kind of
    database.
    """
    # One statement sees one state of the file. With one each, a process that makes the ledger
    # at this moment could commit between them, and the file would look like another's.
    version, application, tables = connection.execute(
        "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),"
        " (SELECT count(*) FROM sqlite_master)"
    ).fetchone()
    if version == 0 and tables == 0 and application == 0:
        return True
    if application != APPLICATION_ID:
        raise CorruptError(f"{path} is a database, but not a ledger of selfopt; it was left as it is, move it away")
    if version > VERSION_WITH_OBJECTS:
        raise NewerSchemaError(
            f"{path} has schema version {version}, this selfopt reads up to {VERSION_WITH_OBJECTS}; it was left as it is, update selfopt"
        )
    if version < SCHEMA_VERSION or _missing_fields(connection) or _needless_fields(connection):
        return True
    return bool(connection.execute(SEALED_TOO_FAR).fetchone()[0])


def prepare(connection: sqlite3.Connection, path: Path) -> bool:
    """Bring tables and index fields up to date, within a write transaction.

    Returns whether it made commits for what an older selfopt had stored without any.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version == 1:
        _list_what_is_found(connection)
    connection.execute(f"PRAGMA user_version = {max(version, SCHEMA_VERSION)}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if connection.execute(SEALED_TOO_FAR).fetchone()[0]:
        connection.execute("UPDATE sealed SET upto = 0")  # then everything is sealed once more
    for kind, field in _missing_fields(connection):
        _index_field(connection, path, kind, field)
    for kind, field in _needless_fields(connection):
        # Also forget that it was indexed. Should it become an index again, the records appended from now on are indexed then.
        connection.execute("DELETE FROM record_index WHERE kind = ? AND field = ?", (kind, field))
        connection.execute("DELETE FROM indexed_fields WHERE kind = ? AND field = ?", (kind, field))
    return version == 1


def _missing_fields(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return sorted(_wanted_fields() - set(connection.execute("SELECT kind, field FROM indexed_fields")))


def _needless_fields(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Returns fields that only an older selfopt indexed.

    Ignores unknown kinds, which a newer selfopt may have added.
    """
    known = connection.execute("SELECT kind, field FROM indexed_fields")
    return sorted(pair for pair in set(known) - _wanted_fields() if pair[0] in record_types())


def _wanted_fields() -> set[tuple[str, str]]:
    return {(kind, field) for kind, record_type in record_types().items() for field in record_type.index_fields}


def _index_field(connection: sqlite3.Connection, path: Path, kind: str, field: str) -> None:
    """Index a field for the records that were appended before it was indexed."""
    record_type = record_types()[kind]
    for seq, body in connection.execute("SELECT seq, body FROM records WHERE kind = ?", (kind,)).fetchall():
        row = encode(decode(record_type, body, where=f"{path} (record {seq})"))
        connection.executemany(
            "INSERT OR IGNORE INTO record_index (value, kind, field, seq) VALUES (?, ?, ?, ?)",
            [(value, kind, name, seq) for name, value in row.index if name == field],
        )
    connection.execute("INSERT INTO indexed_fields VALUES (?, ?)", (kind, field))


def _list_what_is_found(connection: sqlite3.Connection) -> None:
    """Make commits for what version 1 stored without any, so that later changes can be detected."""
    head = CommitHead(f"{UPGRADE}{os.urandom(6).hex()}")
    records = ((seq, record_entry(kind, record_id, body)) for seq, kind, record_id, body in connection.execute(_ALL_RECORDS))
    blobs = ((seq, blob_entry(blob_hash)) for seq, blob_hash in connection.execute("SELECT seq, hash FROM blobs ORDER BY seq"))
    of_records = (commit_body(first, 0, lines) for first, lines in _consecutive(records))
    of_blobs = (commit_body(0, first, lines) for first, lines in _consecutive(blobs))
    for body in chain(of_records, of_blobs):
        head = CommitHead(head.writer, head.n + 1, commit_hash(head, body))
        connection.execute(
            "INSERT INTO commits (writer, n, hash, body) VALUES (?, ?, ?, ?)", (head.writer, head.n, head.hash, body)
        )


_ALL_RECORDS = "SELECT seq, kind, id, body FROM records ORDER BY seq"


def _consecutive(numbered: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Yields (first number, lines) of up to a thousand entries with consecutive numbers."""
    first, lines = 0, list[str]()
    for seq, line in numbered:
        if lines and (seq != first + len(lines) or len(lines) >= _LISTED_TOGETHER):
            yield first, lines
            lines = []
        if not lines:
            first = seq
        lines.append(line)
    if lines:
        yield first, lines
