"""Stores batches of blobs and records in PostgreSQL, in one transaction with the commit that lists them.

Writers take turns by an advisory lock, so what a commit stores has consecutive numbers, and readers
see them in order. Two round trips are enough, however many batches there are.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from selfopt.errors import CorruptError, StoreError
from selfopt.records import Blob, utc_now

from .blobs import PackedRow
from .codec import Row, decode, encode, record_types, same_content
from .commits import CommitHead, blob_entry, commit_body, commit_hash, record_entry
from .group import Batch
from .postgres_session import APPENDING, FAMILY

_LONGEST = 500
"""Longer values are indexed by their hash: an entry of an index has to fit a third of a page."""

_KNOWN_RECORDS = (
    "SELECT k.kind, k.id, r.body FROM unnest(%b::text[], %b::text[]) AS q (kind, id)"
    " JOIN selfopt.record_keys k ON k.id = q.id AND k.kind = q.kind JOIN selfopt.records r ON r.seq = k.seq AND r.at = k.at"
)
KNOWN_BLOBS = "SELECT hash FROM selfopt.blobs WHERE hash = ANY (%b::text[])"
_LAST = "SELECT seq, last_record, last_blob FROM selfopt.commits ORDER BY seq DESC LIMIT 1"
_OWN = "SELECT hash FROM selfopt.commits WHERE writer = %s AND n = %s"
_ADD_BLOBS = "INSERT INTO selfopt.blobs (seq, hash, codec, data) SELECT * FROM unnest(%b::bigint[], %b::text[], %b::smallint[], %b::bytea[])"
_ADD_RECORDS = (
    "INSERT INTO selfopt.records (seq, kind, id, at, body)"
    " SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::timestamptz[], %b::text[])"
)
_ADD_KEYS = "INSERT INTO selfopt.record_keys (seq, kind, id, at) SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::timestamptz[])"
_ADD_INDEX = (
    "INSERT INTO selfopt.record_index (value, kind, field, seq, at)"
    " SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bigint[], %b::timestamptz[])"
)
_ADD_COMMIT = (
    "INSERT INTO selfopt.commits (seq, writer, n, hash, body, last_record, last_blob) VALUES (%s, %s, %s, %s, %s, %s, %s)"
)


def index_value(value: str | int) -> str:
    """Returns how a value of an index field is stored. A number is never equal to its text."""
    if isinstance(value, int):
        return f"i{int(value)}"
    if "\x00" in value or len(value) > _LONGEST:
        return f"h{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()}"
    return f"s{value}"


def index_values(kind: str, name: str, body: str) -> list[str]:
    """Returns the values of one index field in a stored record."""
    row = encode(decode(record_types()[kind], body, where=f"a stored {kind}"))
    return [index_value(value) for field_name, value in row.index if field_name == name]


def own_time(row: Row, otherwise: str) -> str:
    """Returns a record's own time, which says where it is kept; the time of storing if it has none."""
    for name in ('"at":"', '"started_at":"'):
        start = row.body.rfind(name)
        if start >= 0:
            text = row.body[start + len(name) :].partition('"')[0]
            try:
                found = datetime.fromisoformat(text)
            except ValueError:
                continue
            if 1 < found.year < 9999:
                return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
    return otherwise


@dataclass(slots=True)
class Stored:
    """What a transaction stores, and each batch's error."""

    head: CommitHead | None = None  # None: there was nothing new
    errors: list[Exception | None] = field(default_factory=list)


@dataclass(slots=True)
class _New:
    pack: Callable[[Blob], PackedRow]
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)


class PostgresStoring:
    """The transactions of one writer.

    Attributes:
        unsure: what was being committed when the connection was lost. The commit's own hash tells
            whether it is stored.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self.unsure: Stored | None = None

    def store(
        self,
        connection: Any,
        batches: Sequence[Batch],
        head: CommitHead,
        known_blobs: Container[str],
        pack: Callable[[Blob], PackedRow],
    ) -> Stored:
        """Store batches, each completely or not at all. May be repeated after a lost connection. pack: makes the row of a blob."""
        try:
            return self._store(connection, batches, head, known_blobs, pack)
        except BaseException:
            if not connection.closed and connection.info.transaction_status != 0:
                connection.rollback()
            raise

    def _store(
        self,
        connection: Any,
        batches: Sequence[Batch],
        head: CommitHead,
        known_blobs: Container[str],
        pack: Callable[[Blob], PackedRow],
    ) -> Stored:
        refused = [_unfit(batch) for batch in batches]
        taken = [batch for batch, error in zip(batches, refused, strict=True) if error is None]
        keys = list({(row.kind, row.id): None for batch in taken for row in batch.rows})
        hashes = list({b.blob_hash: None for batch in taken for b in batch.blobs if b.blob_hash not in known_blobs})
        with connection.pipeline():
            connection.execute("BEGIN")
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (FAMILY, APPENDING))
            own = connection.execute(_OWN, (head.writer, head.n + 1)) if self.unsure is not None else None
            rows = connection.execute(_KNOWN_RECORDS, ([kind for kind, _ in keys], [name for _, name in keys]))
            blobs = connection.execute(KNOWN_BLOBS, (hashes,))
            last = connection.execute(_LAST)
            stored = {(kind, name): body for kind, name, body in rows.fetchall()}
            there = {found for (found,) in blobs.fetchall()}
            numbers = last.fetchone() or (0, 0, 0)
            mine = own.fetchone() if own is not None else None
        if self.unsure is not None and self.unsure.head is not None and mine is not None and mine[0] == self.unsure.head.hash:
            connection.execute("COMMIT")
            done, self.unsure = self.unsure, None
            return done
        self.unsure = None
        new = _New(pack)
        result = Stored()
        for batch, error in zip(batches, refused, strict=True):
            result.errors.append(error or self._add(batch, stored, there, known_blobs, new))
        if len(batches) == 1 and result.errors[0] is not None:
            connection.execute("ROLLBACK")
            return result
        self._write(connection, new, numbers, head, result)
        return result

    def _add(
        self, batch: Batch, stored: dict[tuple[str, str], str], there: set[str], known: Container[str], new: _New
    ) -> Exception | None:
        """Add what a batch has to the new things. Returns its error, and then adds nothing."""
        rows: dict[tuple[str, str], Row] = {}
        for row in batch.rows:
            key = row.kind, row.id
            earlier = rows.get(key) or new.rows.get(key)
            body = stored.get(key) if earlier is None else earlier.body
            if body is None:
                rows[key] = row
                continue
            try:
                same = same_content(record_types()[row.kind], body, row.body, where=f"{self._place} ({row.kind} {row.id})")
            except CorruptError as error:
                return error
            if not same:
                return CorruptError(f"{self._place} already has another {row.kind} {row.id}; nothing was appended")
        new.rows.update(rows)
        new.blobs.update({b.blob_hash: b for b in batch.blobs if b.blob_hash not in there and b.blob_hash not in known})
        return None

    def _write(self, connection: Any, new: _New, numbers: tuple[int, int, int], head: CommitHead, result: Stored) -> None:
        if not (new.rows or new.blobs):
            connection.execute("COMMIT")
            return
        number, first_row, first_blob = numbers[0] + 1, numbers[1] + 1, numbers[2] + 1
        lines = [blob_entry(name) for name in new.blobs]
        lines += [record_entry(row.kind, row.id, row.body) for row in new.rows.values()]
        body = commit_body(first_row if new.rows else 0, first_blob if new.blobs else 0, lines)
        result.head = CommitHead(head.writer, head.n + 1, commit_hash(head, body))
        last_row, last_blob = first_row + len(new.rows) - 1, first_blob + len(new.blobs) - 1
        with connection.pipeline():
            if new.blobs:
                packed = [new.pack(blob) for blob in new.blobs.values()]
                columns = (
                    list(range(first_blob, last_blob + 1)),
                    list(new.blobs),
                    [p[0] for p in packed],
                    [p[1] for p in packed],
                )
                connection.execute(_ADD_BLOBS, columns)
            if new.rows:
                self._write_rows(connection, list(new.rows.values()), first_row)
            connection.execute(_ADD_COMMIT, (number, head.writer, head.n + 1, result.head.hash, body, last_row, last_blob))
            self.unsure = result
            connection.execute("COMMIT")
        self.unsure = None

    @staticmethod
    def _write_rows(connection: Any, rows: Sequence[Row], first: int) -> None:
        now = utc_now()
        seqs, times = list(range(first, first + len(rows))), [own_time(row, now) for row in rows]
        kinds, names = [row.kind for row in rows], [row.id for row in rows]
        connection.execute(_ADD_KEYS, (seqs, kinds, names, times))
        connection.execute(_ADD_RECORDS, (seqs, kinds, names, times, [row.body for row in rows]))
        entries = [
            (value, row.kind, name, seq, at)
            for row, seq, at in zip(rows, seqs, times, strict=True)
            for name, value in dict.fromkeys((name, index_value(value)) for name, value in row.index)
        ]
        if entries:
            connection.execute(_ADD_INDEX, [list(column) for column in zip(*entries, strict=True)])


def _unfit(batch: Batch) -> Exception | None:
    """Returns why PostgreSQL cannot keep a batch: an id that is too long for an index, or holds NUL or half a character."""
    for row in batch.rows:
        if len(row.id) > _LONGEST or "\x00" in row.id or not row.id.isprintable():
            try:
                row.id.encode()
            except UnicodeEncodeError:
                return StoreError(f"a {row.kind} has an id that is not Unicode; nothing was appended")
            if len(row.id) > _LONGEST or "\x00" in row.id:
                return StoreError(f"a {row.kind} has an id of {len(row.id)} characters, or with NUL; at most {_LONGEST} are kept")
    return None
