"""The tables of a ledger file, how an older file is brought up to date, and what a file must be to be opened at all."""

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
"""Kinds that make up nearly all records: reading all of them is a scan of the table, so no index lists them by kind."""

FEW = "kind NOT IN ('trial', 'trial_start', 'verdict')"
"""The condition of the index of all other kinds; a query has to repeat it to use that index."""

APPLICATION_ID = 0x53464F50  # "SFOP" in the file's header: tells a ledger from any other database

# The leading columns are ids: the entries of one trial, its start and its verdict then lie on the same few pages, which is
# what a commit costs (a third less CPU per trial than with the kind in front).
_V1 = (
    "CREATE TABLE records (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,"
    " UNIQUE (id, kind))",
    f"CREATE INDEX records_by_kind ON records (kind) WHERE {FEW}",
    "CREATE TABLE record_index (value NOT NULL, kind TEXT NOT NULL, field TEXT NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY (value, kind, field, seq)) WITHOUT ROWID",
    "CREATE TABLE indexed_fields (kind TEXT NOT NULL, field TEXT NOT NULL, PRIMARY KEY (kind, field)) WITHOUT ROWID",
    "CREATE TABLE blobs (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, codec INTEGER NOT NULL, data BLOB NOT NULL)",
)

# Rows are only ever added at the end, by whichever writer commits: no index, so that a trial dirties one page more and not two.
_V2 = (
    "CREATE TABLE commits (seq INTEGER PRIMARY KEY, writer TEXT NOT NULL, n INTEGER NOT NULL, hash TEXT NOT NULL,"
    " body TEXT NOT NULL)",
    "CREATE TABLE sealed (id INTEGER PRIMARY KEY CHECK (id = 1), upto INTEGER NOT NULL)",
    "INSERT INTO sealed VALUES (1, 0)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2)
"""Statement lists; the n-th brings a file from version n to n + 1. Written ones are never edited."""

SCHEMA_VERSION = len(MIGRATIONS)

SEALED_TOO_FAR = "SELECT max(upto) > (SELECT coalesce(max(seq), 0) FROM commits) FROM sealed"
"""Whether the note of what was sealed tells of commits that there are not: what comes next would never be sealed."""

UPGRADE = "upgrade-"
"""What the name of a writer begins with that lists what an older selfopt had stored."""

_LISTED_TOGETHER = 1000


def check_magic(path: Path) -> None:
    """CorruptError when the file has content that is not sqlite's. An empty file is a new ledger."""
    with path.open("rb") as file:
        head = file.read(16)
    if head and head != b"SQLite format 3\0":
        raise CorruptError(f"{path} is not a ledger (it does not start like a database); it was left as it is, move it away")


def needs_migration(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether tables or index fields are missing or no longer wanted, or the note of what was sealed is wrong. NewerSchemaError / CorruptError for a file that is not to be touched."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if version == 0 and tables == 0 and application == 0:
        return True
    if application != APPLICATION_ID:
        raise CorruptError(f"{path} is a database, but not a ledger of selfopt; it was left as it is, move it away")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version}, this selfopt reads up to {SCHEMA_VERSION}; it was left as it is, update selfopt"
        )
    if version < SCHEMA_VERSION or _missing_fields(connection) or _needless_fields(connection):
        return True
    return bool(connection.execute(SEALED_TOO_FAR).fetchone()[0])


def prepare(connection: sqlite3.Connection, path: Path) -> bool:
    """Bring tables and index fields up to date. To be called within a write transaction. Returns whether commits were made of what
    an older selfopt had stored."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version == 1:
        _list_what_is_found(connection)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    if connection.execute(SEALED_TOO_FAR).fetchone()[0]:
        connection.execute("UPDATE sealed SET upto = 0")  # then all is sealed once more
    for kind, field in _missing_fields(connection):
        _index_field(connection, path, kind, field)
    for kind, field in _needless_fields(connection):
        # Forgotten here too, so that the records appended from now on are found again should it become an index once more.
        connection.execute("DELETE FROM record_index WHERE kind = ? AND field = ?", (kind, field))
        connection.execute("DELETE FROM indexed_fields WHERE kind = ? AND field = ?", (kind, field))
    return version == 1


def _missing_fields(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return sorted(_wanted_fields() - set(connection.execute("SELECT kind, field FROM indexed_fields")))


def _needless_fields(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Fields that an older selfopt indexed. Kinds that this one does not know are left to the newer one that does."""
    known = connection.execute("SELECT kind, field FROM indexed_fields")
    return sorted(pair for pair in set(known) - _wanted_fields() if pair[0] in record_types())


def _wanted_fields() -> set[tuple[str, str]]:
    return {(kind, field) for kind, record_type in record_types().items() for field in record_type.index_fields}


def _index_field(connection: sqlite3.Connection, path: Path, kind: str, field: str) -> None:
    """Index a field for the records that were appended before it was one."""
    record_type = record_types()[kind]
    for seq, body in connection.execute("SELECT seq, body FROM records WHERE kind = ?", (kind,)).fetchall():
        row = encode(decode(record_type, body, where=f"{path} (record {seq})"))
        connection.executemany(
            "INSERT OR IGNORE INTO record_index (value, kind, field, seq) VALUES (?, ?, ?, ?)",
            [(value, kind, name, seq) for name, value in row.index if name == field],
        )
    connection.execute("INSERT INTO indexed_fields VALUES (?, ?)", (kind, field))


def _list_what_is_found(connection: sqlite3.Connection) -> None:
    """Commits of what version 1 had stored without any: from here on it can be told whether that changes."""
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
    """(first number, lines) of up to a thousand entries whose numbers follow one another."""
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
