"""The ledger in a PostgreSQL database that many machines share. It needs the extra 'postgres'."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from selfopt.errors import CorruptError, LockedError, StoreError
from selfopt.home import atomic_write_text
from selfopt.records import Blob, Record

from .blobs import BlobStore, InsideBlobs, whole
from .codec import IndexEntry, Row, check_blob, check_where, decode, encode, kind_of
from .commits import CommitHead
from .group import Batch, GroupCommit, note_blobs
from .postgres_holding import Holder, Holding, holders_of
from .postgres_schema import checked
from .postgres_session import DatabaseSession, Patience
from .postgres_storing import KNOWN_BLOBS, PostgresStoring, index_value

R = TypeVar("R", bound=Record)
AfterCommit = Callable[["PostgresLedger"], None]

_PAGE = 512
_ENDLESS = 2**63 - 1
# Every query goes through an index to few rows. Without statistics the planner may think otherwise.
_PLANS = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
_WRITING = {**_PLANS, "idle_in_transaction_session_timeout": "60000", "lock_timeout": "60000", "synchronous_commit": "on"}
_BODIES = " JOIN selfopt.records r ON r.seq = k.seq AND r.at = k.at"
_BY_ID = f"SELECT k.seq, k.id, r.body FROM selfopt.record_keys k{_BODIES} WHERE k.kind = %s"
_BY_INDEX = f"SELECT k.seq, r.id, r.body FROM selfopt.record_index k{_BODIES} WHERE k.kind = %s AND k.field = %s AND k.value "
_AND_INDEXED = (
    " AND EXISTS (SELECT FROM selfopt.record_index j WHERE j.kind = %s AND j.field = %s AND j.value = %s AND j.seq = k.seq)"
)
_UNSEALED = "SELECT DISTINCT ON (writer) seq, writer, n, hash FROM selfopt.commits WHERE seq > %s ORDER BY writer, seq DESC"


def open_postgres_ledger(
    url: str,
    *,
    patience_s: float = 300.0,
    after_commit: AfterCommit | None = None,
    one_name: Callable[[str], str] = str,
    purpose: str = "ledger",
    note: Path | None = None,
    blobs: BlobStore | None = None,
) -> PostgresLedger:
    """Open the ledger of a database. `selfopt ledger migrate` made it.

    Args:
        patience_s: how long a database that goes away is waited for.
        after_commit: called after each append that stored something, in the thread that wrote it.
        one_name: gives one name for all of a model. A read by `model` finds records under each.
        purpose: what the server shows this session is for.
        note: the file that notes how far this home's audit trail has sealed the ledger.
        blobs: where the texts of new blobs go; None: into the database.

    Raises:
        NewerSchemaError: a newer selfopt made the ledger.
        StoreError: the database cannot be used, holds no ledger, or the extra is missing.
    """
    return PostgresLedger(url, Patience(patience_s), after_commit, one_name, purpose, note, blobs or InsideBlobs(patience_s))


class PostgresLedger:
    """See `selfopt.records.Ledger`. Several threads, processes and machines may use it at once.

    Attributes:
        ledger_id: names this database's ledger, wherever it is moved.
        place: the database, in a form for people.
        for_rules: whether this user may only read and add rules, as a gateway does. Reads of records fail then.
        blobs: keeps the texts of blobs.
    """

    upgraded = False
    read_only = False
    for_rules = False

    def __init__(
        self,
        url: str,
        patience: Patience,
        after_commit: AfterCommit | None,
        one_name: Callable[[str], str],
        purpose: str,
        note: Path | None,
        blobs: BlobStore,
    ) -> None:
        self.ledger_id = ""
        self.blobs = blobs
        self._note = note
        self._one_name = one_name
        self._after_commit = after_commit
        self._head = CommitHead(os.urandom(8).hex())
        self._known_blobs: dict[str, None] = {}
        self._closed = threading.Event()
        self._writer = DatabaseSession(url, purpose, patience, self._begin, settings=_WRITING)
        self._reader = DatabaseSession(url, f"{purpose} reads", patience, settings=_PLANS)
        self.place = self._writer.place
        self._holding = Holding(self.place)
        self._storing = PostgresStoring(self.place)
        self._if_closed = f"the ledger {self.place} is closed; open it again"
        self._group = GroupCommit(self._append_all, self._if_closed, threaded=True, hurry=self._hurry)
        try:
            self._writer.run(lambda connection: None)
        except StoreError:
            self.close()
            raise

    def _begin(self, connection: Any) -> None:
        found = checked(connection, self._writer.place)
        if self.ledger_id not in ("", found):
            raise StoreError(f"{self.place} holds another ledger than before; begin the command again")
        self.ledger_id = found
        self.for_rules = not connection.execute("SELECT has_table_privilege('selfopt.records', 'SELECT')").fetchone()[0]
        self._holding.regain(connection)
        may = "SELECT has_function_privilege('selfopt.make_partitions()', 'EXECUTE')"
        if not self._head.n and connection.execute(may).fetchone()[0]:
            connection.execute("SELECT selfopt.make_partitions()")

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
        await self._group.append(Batch(blobs, rows))

    def _hurry(self) -> None:
        # Who leaves does not wait for a database or a store that is away.
        self._writer.hurry()
        self.blobs.hurry()

    def _append_all(self, batches: Sequence[Batch]) -> Sequence[Exception | None]:
        known = self._known_blobs
        new = (blob for batch in batches for blob in batch.blobs if blob.blob_hash not in known)
        pack = self.blobs.keep(new, self._stored_blobs)
        with self._writer.lock:
            stored = self._writer.run(lambda connection: self._storing.store(connection, batches, self._head, known, pack))
            note_blobs(self._known_blobs, batches, stored.errors)
            if stored.head is not None:
                self._head = stored.head
                if self._after_commit is not None:
                    self._after_commit(self)
            return stored.errors

    def _stored_blobs(self, hashes: list[str]) -> set[str]:
        rows = self._writer.run(lambda connection: connection.execute(KNOWN_BLOBS, (hashes,)).fetchall())
        return {str(row[0]) for row in rows}

    def read(
        self,
        record_type: type[R],
        where: Mapping[str, str | int] | None = None,
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[R]:
        """See `selfopt.records.Ledger.read`.

        Reads page by page: the iterator holds no connection between records.
        """
        conditions = check_where(record_type, where)
        kind = kind_of(record_type)
        self._check_open()
        if kind == Blob.ledger_kind:
            return self._read_blobs(record_type, conditions, newest_first, limit)
        return self._read_records(record_type, kind, conditions, newest_first, limit)

    def ids(self, record_type: type[Record]) -> list[str]:
        """Returns the ids of one kind, in the order of appending."""
        kind = kind_of(record_type)
        if kind == Blob.ledger_kind:
            return [str(row[0]) for row in self._fetch("SELECT hash FROM selfopt.blobs ORDER BY seq", ())]
        return [str(row[0]) for row in self._fetch("SELECT id FROM selfopt.record_keys WHERE kind = %s ORDER BY seq", (kind,))]

    def texts(self, hashes: Sequence[str]) -> dict[str, str]:
        """See `Bodies.texts`."""
        rows = self._fetch("SELECT hash, codec, data FROM selfopt.blobs WHERE hash = ANY (%s)", (list(hashes),))
        return {blob_hash: whole(found) for (blob_hash, *_), found in self.blobs.texts(rows, self.place)}

    def store_parts(self, blobs: Sequence[Blob], rows: Sequence[Row]) -> None:
        """Store texts and records in the form that they have elsewhere. Raises as `append`."""
        for error in self._append_all([Batch(blobs, rows)]):
            if error is not None:
                raise error

    def ask(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Returns the rows of a query. Raises StoreError."""
        return self._fetch(text, values)

    def take(self, names: Sequence[str], purpose: str) -> None:
        """Take locks by name, all or none. They end with this ledger's session.

        A session that is opened again takes them again before any other work, so nothing is written by
        who has lost one. Raises LockedError, which says who holds one.
        """
        refused: list[LockedError] = []

        def work(connection: Any) -> None:
            try:
                self._holding.take(connection, names, purpose)
            except LockedError as error:
                refused.append(error)  # here nothing is gained by waiting

        self._writer.run(work)
        if refused:
            raise refused[0]

    def give_back(self, names: Sequence[str]) -> None:
        """Give locks back. Does nothing for those that are not held, and does not wait for the database."""
        self._writer.at_hand(lambda connection: self._holding.give_back(connection, names))

    def holders(self) -> tuple[Holder, ...]:
        """Returns who holds what in this database, by name."""
        self._check_open()
        return self._reader.run(holders_of)

    def unsealed(self) -> tuple[int, list[CommitHead]]:
        """Returns, of the commits not noted as sealed, the largest number and the newest commit of each
        writer.
        """
        rows = sorted(self._fetch(_UNSEALED, (self._sealed_upto(),)))
        return (rows[-1][0] if rows else 0), [CommitHead(str(writer), int(n), str(found)) for _, writer, n, found in rows]

    def note_sealed(self, upto: int) -> None:
        """Note that this home's trail sealed the commits up to this number. The note proves nothing."""
        if self._note is not None:
            atomic_write_text(self._note, json.dumps({"ledger": self.ledger_id, "upto": upto}) + "\n")

    def _sealed_upto(self) -> int:
        try:
            told = json.loads(self._note.read_bytes()) if self._note is not None else {}
            upto = int(told["upto"]) if told["ledger"] == self.ledger_id else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return upto if upto <= self.last_commit() else 0  # an older copy was restored: seal everything once more

    def last_commit(self) -> int:
        """Returns the number of the newest commit; 0 where there is none."""
        return int(self._fetch("SELECT coalesce(max(seq), 0) FROM selfopt.commits", ())[0][0])

    def close(self) -> None:
        """Finish running appends and close the connections. May be called twice."""
        self._group.close()
        self.blobs.close()
        self._closed.set()
        self.give_back(self._holding.names)  # the server notices the end of a connection only later
        self._writer.close()
        self._reader.close()

    def _read_records(
        self, record_type: type[R], kind: str, conditions: list[IndexEntry], newest_first: bool, limit: int | None
    ) -> Iterator[R]:
        rest = [entry for entry in conditions if entry[0] != "id"]
        values: list[Any] = [kind]
        if len(rest) < len(conditions) or not rest:
            text = _BY_ID
            for _, value in set(conditions) - set(rest):
                text += " AND k.id = %s"
                values.append(str(value).replace("\x00", "?"))
        else:
            names = self._names(kind, conditions)
            first: IndexEntry = ("model", names[0]) if names else rest[0]
            rest.remove(first)
            # With one value the index has the rows in order.
            text = _BY_INDEX + ("= ANY (%s)" if names else "= %s")
            values += [first[0], [index_value(name) for name in names] or index_value(first[1])]
        for name, value in rest:
            text += _AND_INDEXED
            values += [kind, name, index_value(value)]
        for _, record_id, body in self._pages(text, values, "k.seq", newest_first, limit):
            record = decode(record_type, body, where=f"{self.place} ({kind} {record_id})")
            if not all(self._says(record, *entry) for entry in conditions):
                raise CorruptError(f"{self.place}: its index entries do not fit {kind} {record_id}; see `selfopt audit verify`")
            yield record

    def _names(self, kind: str, conditions: list[IndexEntry]) -> list[str]:
        model = dict(conditions).get("model")
        if self._one_name is str or not isinstance(model, str):
            return []
        rows = self._fetch("SELECT DISTINCT value FROM selfopt.record_index WHERE kind = %s AND field = 'model'", (kind,))
        known = [str(value)[1:] for (value,) in rows if str(value).startswith("s")]
        others = [name for name in known if name != model and self._one_name(name) == self._one_name(model)]
        return [model, *others] if others else []

    def _says(self, record: Record, name: str, wanted: str | int) -> bool:
        value = getattr(record, record.id_field if name == "id" else name)
        if value == wanted or (isinstance(value, tuple) and wanted in value):
            return True
        return name == "model" and self._one_name(str(value)) == self._one_name(str(wanted))

    def _read_blobs(
        self, record_type: type[R], conditions: list[IndexEntry], newest_first: bool, limit: int | None
    ) -> Iterator[R]:
        text, values = "SELECT seq, hash, codec, data FROM selfopt.blobs WHERE TRUE", [value for _, value in conditions]
        text += " AND hash = %s" * len(values)
        rows = self._pages(text, values, "seq", newest_first, limit)
        for (_, blob_hash, *_), found in self.blobs.texts(rows, self.place):
            yield record_type.model_validate({"blob_hash": blob_hash, "text": whole(found)})

    def _pages(self, text: str, values: list[Any], seq: str, newest_first: bool, limit: int | None) -> Iterator[tuple[Any, ...]]:
        sign, order = ("<", "DESC") if newest_first else (">", "ASC")
        last = _ENDLESS if newest_first else -1
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(left, _PAGE)
            rows = self._fetch(f"{text} AND {seq} {sign} %s ORDER BY {seq} {order} LIMIT %s", (*values, last, size))
            yield from rows
            if len(rows) < size:
                return
            last = rows[-1][0]
            left = None if left is None else left - size

    def _fetch(self, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        self._check_open()
        return self._reader.run(lambda connection: list(connection.execute(text, values).fetchall()))

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise StoreError(self._if_closed)
