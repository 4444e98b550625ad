"""The ledger as one sqlite file.

Concurrent appends share a transaction. It is durable (WAL, synchronous = FULL) when they return.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from selfopt.errors import CorruptError, ReadOnlyError, StoreError
from selfopt.records import Blob, Record

from .blobs import BlobStore, InsideBlobs, PackedRow, whole
from .codec import IndexEntry, Row, check_blob, check_where, decode, encode, kind_of
from .commits import CommitHead
from .group import Batch, GroupCommit, note_blobs
from .schema import FEW, MANY_KINDS, check_magic, needs_migration, prepare
from .storing import Storing, translated
from .unwritable import is_read_only, read_only_uri

R = TypeVar("R", bound=Record)
T = TypeVar("T")
AfterCommit = Callable[["SqliteLedger"], None]

_PAGE = 256
_RETRY_S = 0.02

_KNOWN_BLOBS = "SELECT hash FROM blobs WHERE hash IN (SELECT value FROM json_each(?))"
_UNSEALED = "FROM commits WHERE seq > (SELECT upto FROM sealed)"
_SELECT_BY_INDEX = (
    "SELECT r.seq, r.id, r.body FROM record_index i CROSS JOIN records r ON r.seq = i.seq"
    " WHERE i.kind = ? AND i.field = ? AND i.value "
)
_AND_INDEXED = " AND EXISTS (SELECT 1 FROM record_index j WHERE j.kind = ? AND j.field = ? AND j.value = ? AND j.seq = r.seq)"


def open_ledger(
    path: Path,
    *,
    busy_timeout_s: float = 30.0,
    after_commit: AfterCommit | None = None,
    one_name: Callable[[str], str] = str,
    blobs: BlobStore | None = None,
) -> SqliteLedger:
    """Open a ledger file. A missing or empty file becomes a new ledger (mode 0600).

    Args:
        busy_timeout_s: how long to wait for the write of another process.
        after_commit: called after each append that stored something.
        one_name: gives one name for all of a model. A read by `model` finds records under each.
        blobs: where the texts of new blobs go; None: into the file.

    Raises:
        NewerSchemaError: a newer selfopt wrote the file. It is left as it is.
        CorruptError: the file is damaged or not a ledger. It is left as it is.
        StoreError: there is no permission or space, or another process keeps writing.
    """
    return SqliteLedger(path, busy_timeout_s=busy_timeout_s, after_commit=after_commit, one_name=one_name, blobs=blobs)


class SqliteLedger:
    """See `selfopt.records.Ledger`. Several threads may use it, and several processes may open the
    file.

    Each transaction that stores something also stores a commit that lists it (see `commits`).

    Attributes:
        upgraded: opening the file made commits for what an older selfopt had stored.
        read_only: the file or its folder cannot be written. It is only read then.
        blobs: keeps the texts of blobs.
    """

    def __init__(
        self,
        path: Path,
        *,
        busy_timeout_s: float = 30.0,
        after_commit: AfterCommit | None = None,
        one_name: Callable[[str], str] = str,
        blobs: BlobStore | None = None,
    ) -> None:
        self.path = path
        self.blobs = blobs or InsideBlobs()
        self.ledger_id = ""  # the home's own
        self._one_name = one_name
        self.upgraded = False
        self.read_only = is_read_only(path)
        self._after_commit = after_commit
        self._head = CommitHead(os.urandom(8).hex())
        self._files: dict[str, tuple[int, int]] = {}
        self._lock = threading.RLock()
        self._known_blobs: dict[str, None] = {}
        self._if_closed = f"{path} is closed; open it again"
        self._group = GroupCommit(self._append_all, self._if_closed, threaded=self.blobs.is_far, hurry=self.blobs.hurry)
        self._connection: sqlite3.Connection | None = None
        try:
            if not self.read_only:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            check_magic(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be opened: {error.strerror or error}; check folder, permissions and space"
            ) from error
        try:
            with self._errors():
                self._connection = self._connect(busy_timeout_s)
        except StoreError:
            self.close()
            raise

    async def append(self, records: Sequence[Record]) -> None:
        """See `selfopt.records.Ledger.append`."""
        rows: list[Row] = []
        blobs: list[Blob] = []
        for record in records:
            if isinstance(record, Blob):
                check_blob(record)
                blobs.append(record)
            else:
                rows.append(encode(record))
        if self.read_only:
            self._check_known(blobs, rows)
        else:
            await self._group.append(Batch(blobs, rows))

    def _check_known(self, blobs: Sequence[Blob], rows: Sequence[Row]) -> None:
        """Raises ReadOnlyError unless all of it is stored already, so that appending it would change nothing."""
        known = all(self._fetch("SELECT 1 FROM blobs WHERE hash = ?", (blob.blob_hash,)) for blob in blobs) and all(
            self._fetch("SELECT 1 FROM records WHERE kind = ? AND id = ?", (row.kind, row.id)) for row in rows
        )
        if not known:
            raise ReadOnlyError(
                f"{self.path} cannot be written; check the owner and mode of the folder, or choose another with --home"
            )

    def _append_all(self, batches: Sequence[Batch]) -> Sequence[Exception | None]:
        """Store batches in one transaction, each completely or not at all.

        Returns the error of each, or None.
        """
        new = (blob for batch in batches for blob in batch.blobs if blob.blob_hash not in self._known_blobs)
        packed = self.blobs.keep(new, self._stored_blobs)  # before the lock: nobody else waits for a network
        with self._lock:
            head, errors = self._write(partial(self._store, batches, packed))
            note_blobs(self._known_blobs, batches, errors)
            if head is not None:
                self._head = head
                self._check_files()
                if self._after_commit is not None:
                    self._after_commit(self)
            return errors

    def read(
        self,
        record_type: type[R],
        where: Mapping[str, str | int] | None = None,
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[R]:
        """See `selfopt.records.Ledger.read`.

        Reads page by page: the iterator holds no lock between records.
        """
        conditions = check_where(record_type, where)
        kind = kind_of(record_type)
        self._open_connection()
        if kind == Blob.ledger_kind:
            return self._read_blobs(record_type, conditions, newest_first, limit)
        return self._read_records(record_type, kind, conditions, newest_first, limit)

    def close(self) -> None:
        """Finish running appends and close the file. May be called twice."""
        self._group.close()
        self.blobs.close()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def ids(self, record_type: type[Record]) -> list[str]:
        """Returns the ids of one kind, in the order of appending."""
        kind = kind_of(record_type)
        if kind == Blob.ledger_kind:
            return [str(row[0]) for row in self._fetch("SELECT hash FROM blobs ORDER BY seq", ())]
        few = "" if kind in MANY_KINDS else f" AND {FEW}"
        return [str(row[0]) for row in self._fetch(f"SELECT id FROM records WHERE kind = ?{few} ORDER BY seq", (kind,))]

    def check(self) -> list[str]:
        """Returns the faults that sqlite's own integrity check finds. Reads the whole file."""
        return [str(row[0]) for row in self._fetch("PRAGMA integrity_check", ()) if row[0] != "ok"]

    def unsealed(self) -> tuple[int, list[CommitHead]]:
        """Returns, of the commits not noted as sealed, the largest number and the newest commit of
        each writer.
        """
        rows = self._fetch(f"SELECT max(seq), writer, max(n), hash {_UNSEALED} GROUP BY writer ORDER BY 1", ())
        return (rows[-1][0] if rows else 0), [CommitHead(str(writer), int(n), str(found)) for _, writer, n, found in rows]

    def note_sealed(self, upto: int) -> None:
        """Note that the commits up to this number are sealed.

        The note saves reading the audit trail; it proves nothing.
        """
        self._write(lambda connection: connection.execute("UPDATE sealed SET upto = max(upto, ?)", (upto,)))

    # Writing

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in a transaction. Commits at the end, and rolls back when anything raises.

        It uses no context managers, to be fast: every trial comes through here.
        """
        with self._lock:
            connection = self._open_connection()
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    done = work(connection)
                    connection.execute("COMMIT")
                    return done
                finally:
                    # A transaction that is still open has failed. After some errors sqlite has already left it.
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    def _store(
        self, batches: Sequence[Batch], packed: Callable[[Blob], PackedRow], connection: sqlite3.Connection
    ) -> tuple[CommitHead | None, list[Exception | None]]:
        storing = Storing(connection, self.path, self._known_blobs, packed)
        errors = storing.all(batches)
        return storing.commit(self._head), errors

    def _stored_blobs(self, hashes: list[str]) -> set[str]:
        return {row[0] for row in self._fetch(_KNOWN_BLOBS, (json.dumps(hashes),))}

    def _check_files(self) -> None:
        """Raises StoreError when the file, or the journal that commits go to first, was replaced or
        removed.

        What is committed to a file without a name is lost when this process ends.
        """
        for path, opened in self._files.items():
            if _identity(path) != opened:
                raise StoreError(
                    f"{path} was removed, renamed or replaced while it was in use: what was measured since then is lost; put it "
                    "back and repeat the command, or begin in a new home"
                )

    # Reading

    def _read_records(
        self, record_type: type[R], kind: str, conditions: list[IndexEntry], newest_first: bool, limit: int | None
    ) -> Iterator[R]:
        rest = [entry for entry in conditions if entry[0] != "id"]
        values: list[Any] = [kind]
        if len(rest) < len(conditions) or not rest:
            text, seq = "SELECT r.seq, r.id, r.body FROM records r WHERE r.kind = ?", "r.seq"
            if kind not in MANY_KINDS:
                text += f" AND r.{FEW}"
            for _, value in set(conditions) - set(rest):
                text += " AND r.id = ?"
                values.append(value)
        else:
            names = self._names(kind, conditions)
            first: IndexEntry = ("model", names[0]) if names else rest[0]
            rest.remove(first)
            text, seq = _SELECT_BY_INDEX + (f"IN ({','.join('?' * len(names))})" if names else "= ?"), "i.seq"
            values += [first[0], *names] if names else list(first)
        for entry in rest:
            text += _AND_INDEXED
            values += [kind, *entry]
        for _, record_id, body in self._pages(text, values, seq, newest_first, limit):
            record = decode(record_type, body, where=f"{self.path} ({kind} {record_id})")
            if not all(self._says(record, *entry) for entry in conditions):
                raise CorruptError(f"{self.path}: its index entries do not fit {kind} {record_id}; see `selfopt audit verify`")
            yield record

    def _names(self, kind: str, conditions: list[IndexEntry]) -> list[str]:
        """Return the names that records have of the model that is asked for, and that name first.

        Empty if no model is asked for, or it has no other name.
        """
        model = dict(conditions).get("model")
        if self._one_name is str or not isinstance(model, str):
            return []
        rows = self._fetch("SELECT DISTINCT value FROM record_index WHERE kind = ? AND field = 'model'", (kind,))
        others = [str(known) for (known,) in rows if known != model and self._one_name(str(known)) == self._one_name(model)]
        return [model, *others] if others else []

    def _says(self, record: Record, name: str, wanted: str | int) -> bool:
        value = getattr(record, record.id_field if name == "id" else name)
        if value == wanted or (isinstance(value, tuple) and wanted in value):
            return True
        return name == "model" and self._one_name(str(value)) == self._one_name(str(wanted))

    def _read_blobs(
        self, record_type: type[R], conditions: list[IndexEntry], newest_first: bool, limit: int | None
    ) -> Iterator[R]:
        text, values = "SELECT seq, hash, codec, data FROM blobs WHERE 1", [value for _, value in conditions]
        text += " AND hash = ?" * len(values)
        rows = self._pages(text, values, "seq", newest_first, limit)
        for (_, blob_hash, *_), found in self.blobs.texts(rows, str(self.path)):
            yield record_type.model_validate({"blob_hash": blob_hash, "text": whole(found)})

    def _pages(self, text: str, values: list[Any], seq: str, newest_first: bool, limit: int | None) -> Iterator[tuple[Any, ...]]:
        """Yields all rows of a query.

        Fetches a page at a time, each after the last row of the page before.
        """
        sign, order = ("<", "DESC") if newest_first else (">", "ASC")
        last = 2**63 - 1 if newest_first else -1
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            rows = self._fetch(f"{text} AND {seq} {sign} ? ORDER BY {seq} {order} LIMIT ?", (*values, last, size))
            yield from rows
            if len(rows) < size:
                return
            last = rows[-1][0]
            left = None if left is None else left - size

    def _fetch(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock, self._errors():
            return self._open_connection().execute(text, values).fetchall()

    # Opening

    def _connect(self, busy_timeout_s: float) -> sqlite3.Connection:
        where = read_only_uri(self.path) if self.read_only else str(self.path)
        connection = sqlite3.connect(
            where, uri=self.read_only, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
        )
        self._connection = connection
        if self.read_only:
            if needs_migration(connection, self.path):
                raise ReadOnlyError(
                    f"{self.path} was written by another version and has to be brought up to date, but cannot be written; "
                    "make it writable, or copy the home"
                )
            return connection
        if needs_migration(connection, self.path):
            self._write(self._migrate)
        _use_wal(connection, busy_timeout_s)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # now the journal exists, too
        for path in (str(self.path), f"{self.path}-wal"):  # without shared memory there is no such journal
            if (found := _identity(path)) is not None:
                self._files[path] = found
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        # Another process may have been first. Ask again, now that nobody else can write.
        if needs_migration(connection, self.path):
            self.upgraded = prepare(connection, self.path)

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(self._if_closed)
        return self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Switch to WAL. sqlite itself does not wait when another process is doing the same."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_RETRY_S)
