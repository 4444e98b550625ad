"""Reads many records as the JSON that is stored, without making records of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from selfopt.records import Blob, Ledger, Record

from .blobs import BlobStore, whole
from .codec import encode, kind_of
from .schema import FEW, MANY_KINDS
from .sqlite import SqliteLedger
from .storing import translated
from .unwritable import read_only_uri

T = TypeVar("T")
_TOGETHER = 500
_ARRAY = "CAST('[' || group_concat(body) || ']' AS BLOB)"


class StoredBody(NamedTuple):
    """One stored record. text: its JSON."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyPage:
    """Some stored records in the order of appending.

    Attributes:
        joined: a JSON array of all of them, made in one piece, because that takes a third of the time; None
            where it would be too large.
        count: how many they are.
        times: when each was appended, as RFC 3339; empty texts where the ledger does not say it, and nothing
            where nobody wanted to know.
        each: reads them one by one, to find the damaged one.
    """

    joined: bytes | None
    count: int
    times: Sequence[str]
    each: Callable[[], list[StoredBody]]


class Bodies(Protocol):
    """What reads a ledger in pages. Each page is one short statement, so writers never wait for a slow reader."""

    def pages(self, record_type: type[Record], size: int, *, timed: bool = False) -> Iterator[BodyPage]:
        """Yields all records of a type in the order of appending, so many at a time. timed: with their times."""
        ...

    def some(self, record_type: type[Record], ids: Iterable[str]) -> dict[str, str]:
        """Returns the bodies of these records by id. Ids that are not there are left out."""
        ...

    def texts(self, hashes: Iterable[str]) -> dict[str, str]:
        """Returns the texts of these blobs by hash. Hashes that are not there are left out.

        Raises CorruptError where a text is damaged.
        """
        ...


@contextmanager
def open_bodies(ledger: Ledger) -> Iterator[Bodies]:
    """Opens what reads the bodies of a ledger. Raises StoreError where the file cannot be used."""
    if not isinstance(ledger, SqliteLedger):
        yield _RecordBodies(ledger)
        return
    try:
        with closing(_connected(ledger.path)) as connection:
            yield _SqliteBodies(ledger.path, connection, ledger.blobs)
    except sqlite3.Error as error:
        raise translated(error, ledger.path) from error


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(read_only_uri(path), uri=True, timeout=30.0)


class _SqliteBodies:
    """The bodies of a ledger file, by a connection of their own. A thread reads a page ahead by another."""

    def __init__(self, path: Path, connection: sqlite3.Connection, blobs: BlobStore) -> None:
        self._path = path
        self._connection = connection
        self._blobs = blobs

    def pages(self, record_type: type[Record], size: int, *, timed: bool = False) -> Iterator[BodyPage]:
        """See `Bodies.pages`."""
        return _ahead(self._pages(kind_of(record_type), size, timed))

    def _pages(self, kind: str, size: int, timed: bool) -> Generator[BodyPage]:
        with closing(_connected(self._path)) as connection:
            yield from self._read_pages(connection, kind, size, timed)

    def _read_pages(self, connection: sqlite3.Connection, kind: str, size: int, timed: bool) -> Iterator[BodyPage]:
        few = "" if kind in MANY_KINDS else f" AND {FEW}"
        chosen = f"SELECT seq{', at' if timed else ''}, body FROM records WHERE kind = ?{few} AND seq > ? ORDER BY seq LIMIT ?"
        heads = f"SELECT max(seq), count(*), {'group_concat(at)' if timed else 'NULL'}"
        last = -1
        while True:
            place = kind, last, size
            try:
                found = connection.execute(f"{heads}, {_ARRAY} FROM ({chosen})", place).fetchone()
            except sqlite3.DataError:  # larger than sqlite's longest text
                found = connection.execute(f"{heads}, NULL FROM ({chosen})", place).fetchone()
            upto, count, said, joined = found
            if upto is None:
                return
            times = said.split(",") if said is not None else ()
            if timed and len(times) != count:  # somebody changed them
                times = [""] * count
            yield BodyPage(joined, count, times, partial(self._each, place))
            last = upto

    def _each(self, place: tuple[str, int, int]) -> list[StoredBody]:
        text = "SELECT id, body FROM records WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [StoredBody(record_id, body) for record_id, body in self._connection.execute(text, place)]

    def some(self, record_type: type[Record], ids: Iterable[str]) -> dict[str, str]:
        """See `Bodies.some`."""
        kind, found = kind_of(record_type), dict[str, str]()
        for part in _parts(ids):
            text = f"SELECT id, body FROM records WHERE kind = ? AND id IN ({','.join('?' * len(part))})"
            found.update(self._connection.execute(text, (kind, *part)))
        return found

    def texts(self, hashes: Iterable[str]) -> dict[str, str]:
        """See `Bodies.texts`."""
        found = dict[str, str]()
        for part in _parts(hashes):
            text = f"SELECT hash, codec, data FROM blobs WHERE hash IN ({','.join('?' * len(part))})"
            rows = self._connection.execute(text, part)
            found.update((row[0], whole(text)) for row, text in self._blobs.texts(rows, str(self._path)))
        return found


class _RecordBodies:
    """The bodies of any other ledger, from its records."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def pages(self, record_type: type[Record], size: int, *, timed: bool = False) -> Iterator[BodyPage]:
        """See `Bodies.pages`."""
        records = iter(self._ledger.read(record_type))
        while part := list(islice(records, size)):
            bodies = [StoredBody(row.id, row.body) for row in map(encode, part)]
            joined = f"[{','.join(body.text for body in bodies)}]".encode()
            yield BodyPage(joined, len(bodies), [""] * len(bodies) if timed else (), partial(list, bodies))

    def some(self, record_type: type[Record], ids: Iterable[str]) -> dict[str, str]:
        """See `Bodies.some`."""
        return {r.record_id: encode(r).body for each in ids for r in self._ledger.read(record_type, {"id": each}, limit=1)}

    def texts(self, hashes: Iterable[str]) -> dict[str, str]:
        """See `Bodies.texts`."""
        together = getattr(self._ledger, "texts", None)  # of a ledger that many blobs are far from
        if together is not None:
            return {name: text for part in _parts(hashes) for name, text in together(part).items()}
        return {blob.blob_hash: blob.text for each in hashes for blob in self._ledger.read(Blob, {"id": each}, limit=1)}


def _ahead(steps: Generator[T]) -> Iterator[T]:
    """Yields what an iterator gives, while a thread of its own already makes the next."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        try:
            coming = thread.submit(next, steps, None)
            while (found := coming.result()) is not None:
                coming = thread.submit(next, steps, None)
                yield found
        finally:
            thread.submit(steps.close)


def _parts(ids: Iterable[str]) -> Iterator[Sequence[str]]:
    left = iter(ids)
    while part := tuple(islice(left, _TOGETHER)):
        yield part
