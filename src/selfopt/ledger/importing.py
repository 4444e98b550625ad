"""Moves what a ledger file holds into the ledger of a database: every record and text, as it is and in its order.

What is there already is passed over, so an interrupted import is repeated and stores nothing twice.
It reads and stores in parts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfopt.errors import CorruptError, StoreError
from selfopt.records import Blob

from .blobs import BlobStore, whole
from .codec import Row, decode, encode, record_types, same_content
from .commits import CommitHead, blob_entry, record_entry
from .unwritable import read_only_uri

if TYPE_CHECKING:
    from .postgres import PostgresLedger

_TOGETHER = 500
_MOST_BYTES = 4_000_000
_HEADS = (
    "SELECT writer, n, hash FROM commits c WHERE n = (SELECT max(n) FROM commits d WHERE d.writer = c.writer) ORDER BY writer"
)
_OURS = "SELECT id FROM selfopt.record_index i JOIN selfopt.record_keys k ON k.seq = i.seq AND k.kind = i.kind"

Part = tuple[list[Blob], list[Row]]


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """What an import did.

    Attributes:
        records, blobs: how many the file has. All of them are in the database.
        new_records, new_blobs: how many of them were not there before.
        heads: the newest commit of each writer of the file.
        digest: sha256 of the kind, id and hash of everything in the file, in order.
    """

    records: int
    blobs: int
    new_records: int
    new_blobs: int
    heads: tuple[CommitHead, ...]
    digest: str


def models_of(path: Path) -> list[str]:
    """Returns the models that a ledger file has records of. CorruptError when it cannot be read."""
    with _opened(path) as connection:
        rows = connection.execute("SELECT DISTINCT value FROM record_index WHERE field = 'model' ORDER BY value")
        return [str(value) for (value,) in rows]


def import_file(path: Path, ledger: PostgresLedger, tell: Callable[[int, int], None] = lambda done, total: None) -> ImportedFile:
    """Store everything of a ledger file in a database, and compare it with the file afterwards.

    The caller has verified the file, and sees to it that nobody writes to it.

    Args:
        tell: called with how many records and texts are through, and how many there are.

    Raises:
        CorruptError: the file cannot be read, or the database has other content under one of its ids.
        StoreError: the database cannot be used, or holds newer measurements of the same models.
    """
    with _opened(path) as connection:
        records, blobs = (
            int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in ("records", "blobs")
        )
        missing = _missing(connection, ledger)
        if any(missing):
            _refuse_newer(connection, ledger, path)
        total, done = 2 * (records + blobs), 0
        for part in _parts(connection, path, ledger.blobs):
            if any(missing):
                ledger.store_parts(*part)
            tell(done := done + len(part[0]) + len(part[1]), total)
        digest = sha256()
        for part in _parts(connection, path, ledger.blobs):
            _compare(ledger, part)
            for line in (*(blob_entry(b.blob_hash) for b in part[0]), *(record_entry(r.kind, r.id, r.body) for r in part[1])):
                digest.update(f"{line}\n".encode())
            tell(done := done + len(part[0]) + len(part[1]), total)
        heads = tuple(CommitHead(str(writer), int(n), str(found)) for writer, n, found in connection.execute(_HEADS))
    return ImportedFile(records, blobs, *missing, heads, digest.hexdigest())


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One state of a ledger file, read only."""
    try:
        with closing(sqlite3.connect(read_only_uri(path), uri=True, timeout=30.0, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        raise CorruptError(f"{path} cannot be read: {error}; it was left as it is") from error


def _parts(connection: sqlite3.Connection, path: Path, store: BlobStore) -> Iterator[Part]:
    """Yields the texts, then the records: whoever reads a record finds its texts."""
    blobs: list[Blob] = []
    size = 0
    for (blob_hash, *_), found in store.texts(connection.execute("SELECT hash, codec, data FROM blobs ORDER BY seq"), str(path)):
        blobs.append(Blob(blob_hash=blob_hash, text=whole(found)))
        size += len(blobs[-1].text)
        if len(blobs) >= _TOGETHER or size >= _MOST_BYTES:
            yield blobs, []
            blobs, size = [], 0
    if blobs:
        yield blobs, []
    rows: list[Row] = []
    for kind, name, body in connection.execute("SELECT kind, id, body FROM records ORDER BY seq"):
        if kind not in record_types():
            raise CorruptError(f"{path} has a {str(kind)[:40]!r}, which this selfopt does not know; update it")
        index = encode(decode(record_types()[kind], body, where=f"{path} ({kind} {name})")).index
        rows.append(Row(kind, name, body, index))
        size += len(body)
        if len(rows) >= _TOGETHER or size >= _MOST_BYTES:
            yield [], rows
            rows, size = [], 0
    if rows:
        yield [], rows


def _missing(connection: sqlite3.Connection, ledger: PostgresLedger) -> tuple[int, int]:
    """Returns how many records and texts of the file the database does not have."""
    records = blobs = 0
    for part in _pieces(connection.execute("SELECT kind, id FROM records ORDER BY seq")):
        text = "SELECT count(*) FROM unnest(%s::text[], %s::text[]) AS q (kind, id) JOIN selfopt.record_keys k USING (kind, id)"
        records += len(part) - int(ledger.ask(text, ([kind for kind, _ in part], [name for _, name in part]))[0][0])
    for part in _pieces(connection.execute("SELECT hash FROM blobs ORDER BY seq")):
        text = "SELECT count(*) FROM selfopt.blobs WHERE hash = ANY (%s)"
        blobs += len(part) - int(ledger.ask(text, ([found for (found,) in part],))[0][0])
    return records, blobs


def _pieces(cursor: sqlite3.Cursor) -> Iterator[list[Any]]:
    while part := cursor.fetchmany(_TOGETHER):
        yield part


def _refuse_newer(connection: sqlite3.Connection, ledger: PostgresLedger, path: Path) -> None:
    """Raises where the database has measured one of the file's models by itself: the file's state would count as newer."""
    for (model,) in connection.execute("SELECT DISTINCT value FROM record_index WHERE kind = 'baseline' AND field = 'model'"):
        text = f"{_OURS} WHERE i.kind = 'baseline' AND i.field = 'model' AND i.value = %s"
        for (name,) in ledger.ask(text, (f"s{model}",)):
            if not connection.execute("SELECT 1 FROM records WHERE kind = 'baseline' AND id = ?", (name,)).fetchone():
                raise StoreError(
                    f"{ledger.place} has baselines of {str(model)[:120]} that {path} does not have, and what is imported later would count "
                    "as newer; nothing was imported"
                )


def _compare(ledger: PostgresLedger, part: Part) -> None:
    """Raises CorruptError unless the database has a part of the file as it is there."""
    blobs, rows = part
    texts = ledger.texts([blob.blob_hash for blob in blobs])  # each is checked against its hash
    for blob in blobs:
        if blob.blob_hash not in texts:
            raise CorruptError(f"{ledger.place} does not have the text {blob.blob_hash} after the import; repeat it")
    text = (
        "SELECT k.kind, k.id, r.body FROM unnest(%s::text[], %s::text[]) AS q (kind, id) JOIN selfopt.record_keys k USING (kind, id)"
        " JOIN selfopt.records r ON r.seq = k.seq AND r.at = k.at"
    )
    stored = {(kind, name): body for kind, name, body in _asked(ledger, text, rows)}
    for row in rows:
        body = stored.get((row.kind, row.id))
        if body is None or not same_content(
            record_types()[row.kind], body, row.body, where=f"{ledger.place} ({row.kind} {row.id})"
        ):
            raise CorruptError(f"{ledger.place} does not have {row.kind} {row.id} as it is in the file after the import")


def _asked(ledger: PostgresLedger, text: str, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    return ledger.ask(text, ([row.kind for row in rows], [row.id for row in rows])) if rows else []
