"""Stores batches of blobs and records in one transaction, with the commit that lists them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from selfopt.errors import CorruptError, StoreError
from selfopt.records import Blob, utc_now

from .blobs import PackedRow
from .codec import ELSEWHERE, Row, record_types, same_content
from .commits import CommitHead, blob_entry, commit_body, commit_hash, record_entry
from .group import Batch
from .schema import VERSION_WITH_OBJECTS

# Rows per statement: a trial, its start and its verdict take one statement and not three.
_TOGETHER = 16

_RECORDS = "records (kind, id, at, body)"
_INDEX = "record_index (value, kind, field, seq)"
_BLOBS = "blobs (hash, codec, data)"
_COMMIT = "INSERT INTO commits (writer, n, hash, body) VALUES (?, ?, ?, ?)"


@dataclass(slots=True)
class _Listing:
    """Lines of a commit about rows with consecutive numbers."""

    first: int = 0  # number of the first row; 0 when there is none
    lines: list[str] = field(default_factory=list)

    def add(self, number: int, lines: Iterable[str]) -> None:
        """Add lines about the rows from this number on."""
        if not self.lines:
            self.first = number
        self.lines += lines


class Storing:
    """One transaction of one writer.

    Args:
        known_blobs: hashes of blobs that are certainly stored.
        packed: makes the row of a blob.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, known_blobs: Container[str], packed: Callable[[Blob], PackedRow]
    ) -> None:
        self._connection = connection
        self._path = path
        self._known_blobs = known_blobs
        self._packed = packed
        self._blobs = _Listing()
        self._records = _Listing()

    def all(self, batches: Sequence[Batch]) -> list[Exception | None]:
        """Store what is not stored yet. Returns, for each batch, the error for which it was left
        out, or None.

        Raises an error that ends the transaction, and any error when there is only one batch.
        """
        if len(batches) == 1:
            self._store(batches[0])
            return [None]
        return [self._store_apart(batch) for batch in batches]

    def commit(self, head: CommitHead) -> CommitHead | None:
        """Store the commit that follows `head` and lists what was stored.

        Returns None when that is nothing.
        """
        blobs, records = self._blobs, self._records
        if not (blobs.lines or records.lines):
            return None
        body = commit_body(records.first if records.lines else 0, blobs.first if blobs.lines else 0, blobs.lines + records.lines)
        following = CommitHead(head.writer, head.n + 1, commit_hash(head, body))
        self._connection.execute(_COMMIT, (following.writer, following.n, following.hash, body))
        return following

    def _store_apart(self, batch: Batch) -> Exception | None:
        """Store one of several batches. Its error does not affect the others."""
        blobs, records = len(self._blobs.lines), len(self._records.lines)
        self._connection.execute("SAVEPOINT batch")
        failed: Exception | None = None
        try:
            self._store(batch)
        except Exception as error:
            if not self._connection.in_transaction:  # sqlite has rolled back everything
                raise
            self._connection.execute("ROLLBACK TO batch")
            del self._blobs.lines[blobs:], self._records.lines[records:]
            failed = translated(error, self._path) if isinstance(error, sqlite3.Error) else error
        self._connection.execute("RELEASE batch")
        return failed

    def _store(self, batch: Batch) -> None:
        for blob in batch.blobs:
            if blob.blob_hash not in self._known_blobs:
                codec, data = self._packed(blob)
                cursor = self._insert(_BLOBS, [(blob.blob_hash, codec, data)])
                if codec == ELSEWHERE and cursor.rowcount:
                    self._connection.execute(f"PRAGMA user_version = {VERSION_WITH_OBJECTS}")
                if cursor.rowcount:
                    self._blobs.add(cursor.lastrowid or 0, (blob_entry(blob.blob_hash),))
        at, rows = utc_now(), batch.rows
        for start in range(0, len(rows), _TOGETHER):
            part = rows[start : start + _TOGETHER]
            cursor = self._insert(_RECORDS, [(row.kind, row.id, at, row.body) for row in part])
            # There is one writer at a time, so the rows that a statement adds have consecutive numbers.
            last, added = cursor.lastrowid or 0, cursor.rowcount
            if added == len(part):
                numbers = list(range(last - added + 1, last + 1))
                new: Sequence[Row] = part
            else:
                numbers = [self._number_of(row) for row in part]
                by_number = {seq: row for seq, row in zip(numbers, part, strict=True) if added and seq > last - added}
                new = [by_number[seq] for seq in sorted(by_number)]
            if new:
                self._records.add(last - added + 1, [record_entry(row.kind, row.id, row.body) for row in new])
            entries = [(v, row.kind, name, seq) for row, seq in zip(part, numbers, strict=True) for name, v in row.index]
            for first in range(0, len(entries), _TOGETHER):
                self._insert(_INDEX, entries[first : first + _TOGETHER])

    def _insert(self, into: str, rows: Sequence[tuple[Any, ...]]) -> sqlite3.Cursor:
        """Insert a few rows in one statement. Skips rows that are already stored."""
        return self._connection.execute(_insertion(into, len(rows)), list(chain.from_iterable(rows)))

    def _number_of(self, row: Row) -> int:
        """Returns the number of a stored record.

        CorruptError when it is stored with other content.
        """
        text = "SELECT seq, body FROM records WHERE kind = ? AND id = ?"
        seq, stored = self._connection.execute(text, (row.kind, row.id)).fetchone()
        if not same_content(record_types()[row.kind], stored, row.body, where=f"{self._path} ({row.kind} {row.id})"):
            raise CorruptError(f"{self._path} already has another {row.kind} {row.id}; nothing was appended")
        return int(seq)


@cache
def _insertion(into: str, count: int) -> str:
    row = f"({', '.join('?' * (into.count(',') + 1))})"
    return f"INSERT OR IGNORE INTO {into} VALUES {', '.join([row] * count)}"


_NO_LOCKS = "the file system of this folder has no locks: choose a folder on a local disk with --home"
_LOCKING = frozenset(
    {sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK}
    | {sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMOPEN}
)


def translated(error: sqlite3.Error, path: Path) -> StoreError:
    """Returns the error of sqlite as a StoreError that says how to fix it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptError(f"{path} is damaged ({error}); it was left as it is, move it away or restore a copy")
    fix = {
        sqlite3.SQLITE_FULL: "free some space and start again, nothing was half written",
        sqlite3.SQLITE_READONLY: "make the file and its folder writable",
        sqlite3.SQLITE_BUSY: "another process is writing for too long; end it or wait",
        sqlite3.SQLITE_PROTOCOL: _NO_LOCKS,
        sqlite3.SQLITE_CANTOPEN: "check folder and permissions",
    }.get(code, "nothing was half written; check the disk and start again")
    if getattr(error, "sqlite_errorcode", 0) in _LOCKING:
        fix = _NO_LOCKS
    return StoreError(f"{path} cannot be used: {error}; {fix}")
