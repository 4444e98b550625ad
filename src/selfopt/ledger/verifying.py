"""Checks that a ledger file holds what its writers committed and the audit trail sealed.

Never writes, and reads in parts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from selfopt.errors import CorruptError
from selfopt.records import LedgerFault, LedgerReport

from .blobs import BlobStore, InsideBlobs, LostTextError
from .codec import decode, encode, record_types
from .commits import GENESIS, CommitHead, Listed, commit_hash, id_word, parse_commit
from .schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, SEALED_TOO_FAR, VERSION_WITH_OBJECTS
from .unwritable import read_only_uri

S = TypeVar("S")
T = TypeVar("T")
_KEPT = 1000
_ENDLESS = 2**63 - 1
_INDEX = "SELECT seq, kind, field, value FROM record_index ORDER BY seq"
_RECORDS = "SELECT seq, kind, id, body FROM records ORDER BY seq"
_BLOBS = "SELECT seq, 'blob', hash, codec, data FROM blobs ORDER BY seq"
_What = Literal["changed", "missing", "added", "damaged"]


def verify_ledger_file(path: Path, sealed: Mapping[str, Mapping[int, str]]) -> LedgerReport:
    """Check everything. Damaged content is reported, never raised.

    This covers sqlite's own check, the tables, every writer's chain against the seals, every record
    and blob against its entry in a commit, and the index against the records.

    Args:
        sealed: the hashes that the audit trail sealed, by writer and number of commit.
    """
    return _verified(path, sealed, None)


def check_records(
    path: Path,
    sealed: Mapping[str, Mapping[int, str]],
    only: Set[tuple[str, str]],
    names: Set[str] = frozenset(),
    kinds: Set[str] = frozenset(),
) -> LedgerReport:
    """Check the chains like `verify_ledger_file`, but only some records and blobs.

    Args:
        only: (kind, id) of each. One that was never committed is `added`; if it is not stored
            either, `missing`.
        names: check also what was committed under these ids, whatever its kind.
        kinds: check also everything that was committed of these kinds.
    """
    return _verified(path, sealed, (only, names, kinds))


def _verified(
    path: Path, sealed: Mapping[str, Mapping[int, str]], only: tuple[Set[tuple[str, str]], Set[str], Set[str]] | None
) -> LedgerReport:
    found = FoundFaults()
    commits = max((max(numbers) for numbers in sealed.values()), default=0)
    if not path.is_file():
        if sealed:
            told = sum(max(numbers) for numbers in sealed.values())
            found.add("ledger", path.name, "missing", f"the audit trail sealed {told} commits of it")
        return found.report()
    try:
        with (
            closing(InsideBlobs()) as blobs,
            closing(sqlite3.connect(read_only_uri(path), uri=True, timeout=30.0)) as connection,
        ):
            connection.isolation_level = None
            connection.execute("BEGIN")  # see one state of the file, although others may write
            if not _is_ours(connection, path, found, commits):
                return found.report()
            walk = Walk(connection, sealed, found, blobs, str(path))
            if only is None:
                _check_file(connection, path, found)
                walk.all()
            else:
                walk.some(*only)
    except (sqlite3.Error, ValueError, TypeError, AttributeError, OverflowError) as error:
        # From a damaged page sqlite returns values of any type, or none where there must be one.
        found.add("ledger", path.name, "damaged", str(error))
    return found.report()


@dataclass(slots=True)
class FoundFaults:
    """What a check of a ledger finds. Its fields are those of `LedgerReport`."""

    commits: int = 0
    records: int = 0
    blobs: int = 0
    unsealed: int = 0
    older: bool = False
    faults: list[LedgerFault] = field(default_factory=list)
    n_faults: int = 0

    def add(self, kind: object, name: object, what: _What, detail: str = "") -> None:
        self.n_faults += 1
        if len(self.faults) < _KEPT:
            self.faults.append(LedgerFault(kind=str(kind)[:100], id=str(name)[:200], what=what, detail=detail[:500]))

    def report(self) -> LedgerReport:
        return LedgerReport(ok=not self.n_faults, **asdict(self) | {"faults": tuple(self.faults)})


def _is_ours(connection: sqlite3.Connection, path: Path, found: FoundFaults, sealed: int) -> bool:
    """Returns whether there are commits to check.

    The file of an older selfopt has none, and nothing of it is sealed.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if application == APPLICATION_ID and version in (SCHEMA_VERSION, VERSION_WITH_OBJECTS):
        return True
    found.older = old = application == APPLICATION_ID and 0 < version < SCHEMA_VERSION
    empty = version == application == 0 and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if sealed or not (old or empty):
        found.add("ledger", path.name, "changed", f"it says that its schema version is {version}, not {SCHEMA_VERSION}")
    return False


def _check_file(connection: sqlite3.Connection, path: Path, found: FoundFaults) -> None:
    for (said,) in connection.execute("PRAGMA integrity_check"):
        if said != "ok":
            found.add("ledger", path.name, "damaged", str(said).replace("\n", " "))
    there = {(kind, name): sql for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")}
    wanted = _schema()
    for key in sorted({*there, *wanted}, key=str):
        if there.get(key, "") != wanted.get(key, ""):
            what: _What = "missing" if key not in there else "changed" if key in wanted else "added"
            found.add("table", " ".join(map(str, key)), what)
    if connection.execute(SEALED_TOO_FAR).fetchone()[0]:
        found.add("table", "sealed", "changed", "it names commits that do not exist")


@cache
def _schema() -> dict[tuple[str, str], str | None]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statements in MIGRATIONS:
            for statement in statements:
                connection.execute(statement)
        return {(kind, name): sql for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master")}


@dataclass(frozen=True, slots=True)
class Walk:
    """Checks all commits and what they list. index_form: how the index has a value. where: the ledger, for people."""

    _connection: sqlite3.Connection
    _sealed: Mapping[str, Mapping[int, str]]
    _found: FoundFaults
    _blobs: BlobStore
    where: str
    index_form: Callable[[Any], Any] = lambda value: value

    def all(self) -> None:
        """Check every record with its index entries, and every blob."""
        fields: dict[str, set[str]] = {}
        for kind, name in self._connection.execute("SELECT kind, field FROM indexed_fields"):
            fields.setdefault(kind, set()).add(name)
        groups = groupby(self._connection.execute(_INDEX), itemgetter(0))
        index = ((seq, {row[1:] for row in rows}) for seq, rows in groups)
        stored: Iterable[tuple[int, Any]] = ((row[0], row[1:]) for row in self._connection.execute(_RECORDS))
        records = _merged(self._in_order("record", (r for _, r in self._commits())), stored)
        for seq, entries, record in _merged(index, ((seq, (listed, row)) for seq, listed, row in records)):
            if record is None:
                self._found.add("index", f"record {seq}", "added", "there is no such record")
                continue
            listed, row = record
            self._found.records += row is not None
            self._compare(listed, row)
            if row is not None:
                self._check_index(fields, entries or set(), *row)
        texts = self._blobs.texts(self._connection.execute(_BLOBS), self.where)
        stored = ((row[0], (*row[1:3], text)) for row, text in texts)
        for _, listed, row in _merged(self._in_order("blob", (b for b, _ in self._lists())), stored):
            self._found.blobs += row is not None
            self._compare(listed, row)

    def some(self, only: Set[tuple[str, str]], names: Set[str], kinds: Set[str]) -> None:
        """Check what was committed of these kinds and ids, of these ids, or of these kinds."""
        left = set(only)
        blobs_listed: list[Listed] = []
        wanted = frozenset(map(id_word, {*names, *(name for _, name in only)})) | kinds
        for blobs, records in self._commits(wanted):
            for listed in (*blobs, *records):
                if (listed.kind, listed.id) in only or listed.id in names or listed.kind in kinds:
                    left.discard((listed.kind, listed.id))
                    if listed.kind == "blob":
                        blobs_listed.append(listed)
                    else:
                        self._compare(listed, self._stored(listed))
        rows = ((listed, *(self._stored(listed) or ("", "", 0, b""))) for listed in blobs_listed)
        for (listed, kind, name, *_), text in self._blobs.texts(rows, self.where):
            self._compare(listed, (kind, name, text) if kind else None)
        for kind, name in sorted(left):
            there = self._stored_anywhere(kind, name)
            self._found.add(kind, name, "added" if there else "missing", "no writer has committed it" if there else "")

    def _stored(self, listed: Listed) -> Any:
        table = "'blob', hash, codec, data FROM blobs" if listed.kind == "blob" else "kind, id, body FROM records"
        row = self._connection.execute(f"SELECT {table} WHERE seq = ?", (listed.seq,)).fetchone()
        self._found.records += row is not None and listed.kind != "blob"
        self._found.blobs += row is not None and listed.kind == "blob"
        return row

    def _stored_anywhere(self, kind: str, name: str) -> bool:
        where, values = (
            ("blobs WHERE hash = ?", [name]) if kind == "blob" else ("records WHERE id = ? AND kind = ?", [name, kind])
        )
        return self._connection.execute(f"SELECT 1 FROM {where}", values).fetchone() is not None

    def _compare(self, listed: Listed | None, row: Any) -> None:
        """Compare an entry of a commit with the row that is stored under its number."""
        if listed is not None and (row is None or row[:2] != (listed.kind, listed.id)):
            self._found.add(listed.kind, listed.id, "missing")
            listed = None
        elif listed is not None and isinstance(row[2], LostTextError):
            self._found.add(listed.kind, listed.id, "missing" if row[2].is_missing else "changed", row[2].detail)
        elif listed is not None and not _is_what_was_committed(listed, row):
            self._found.add(listed.kind, listed.id, "changed")
        if listed is None and row is not None:
            self._found.add(row[0], row[1], "added", "no writer has committed it in this place")

    def _check_index(self, fields: Mapping[str, Set[str]], there: Set[tuple[Any, ...]], kind: str, name: str, body: str) -> None:
        """Compare the index entries of one record with its content. fields: the indexed ones, by
        kind.
        """
        if kind not in record_types() or not isinstance(body, str):
            return
        try:
            wanted = {(kind, n, self.index_form(v)) for n, v in _index_of(kind, body) if n in fields.get(kind, ())}
        except (CorruptError, msgspec.MsgspecError, ValueError, RecursionError):
            return  # it is not what was committed, and is reported already
        if there != wanted:
            self._found.add("index", f"{kind} {name}", "changed", "its index entries do not fit its content")

    def _in_order(self, what: str, lists: Iterable[list[Listed]]) -> Iterator[tuple[int, Listed]]:
        """Yields (number, entry) in ascending order.

        What a later commit stored must have a larger number.
        """
        last = 0
        for entries in lists:
            for listed in entries:
                if not last < listed.seq < _ENDLESS:
                    self._found.add(listed.kind, listed.id, "changed", f"{what} {listed.seq} was committed after {what} {last}")
                    continue
                last = listed.seq
                yield last, listed

    def _lists(self) -> Iterator[tuple[list[Listed], list[Listed]]]:
        for (body,) in self._connection.execute("SELECT body FROM commits ORDER BY seq"):
            try:
                yield parse_commit(body)
            except (ValueError, AttributeError, TypeError):
                continue  # `_commits` reports it

    def _commits(self, wanted: frozenset[str] = frozenset()) -> Iterator[tuple[list[Listed], list[Listed]]]:
        """Yields the blobs and the records of every commit; of those without a wanted word only if none is wanted.

        Checks every writer's chain on the way.
        """
        heads: dict[str, CommitHead] = {}
        for writer, n, digest, body in self._connection.execute("SELECT writer, n, hash, body FROM commits ORDER BY seq"):
            self._found.commits += 1
            try:
                # To look for words is far faster than to read the list, and most commits have none.
                lists = ([], []) if wanted and wanted.isdisjoint(body.split()) else parse_commit(body)
                self._check_link(heads.get(writer, CommitHead(writer)), int(n), digest, body)
                heads[writer] = CommitHead(writer, int(n), digest)
            except (ValueError, AttributeError, TypeError):
                self._found.add("commit", f"{writer}/{n}", "damaged")
                heads[writer] = CommitHead(str(writer), n if isinstance(n, int) else 0, str(digest))
                continue
            yield lists
        for writer in sorted({*heads, *self._sealed}):
            self._check_end(heads.get(writer, CommitHead(writer, 0, GENESIS)))

    def _check_link(self, before: CommitHead, n: int, digest: str, body: str) -> None:
        name = f"{before.writer}/{n}"
        if n > before.n + 1:
            self._found.add("commit", f"{before.writer}/{before.n + 1}", "missing", f"the next one is {n}")
        elif n <= before.n or commit_hash(replace(before, n=n - 1), body) != digest:
            self._found.add("commit", name, "changed", "its hash does not fit what it lists")
        wanted = self._sealed.get(before.writer, {}).get(n)
        if wanted is not None and wanted != digest:
            self._found.add("commit", name, "changed", "it is not what the audit trail sealed")

    def _check_end(self, head: CommitHead) -> None:
        last = max(self._sealed.get(head.writer, {}), default=0)
        self._found.unsealed += max(0, head.n - last)
        if last > head.n:
            there = f"{head.n} of its commits are there" if head.n else "none of its commits is there"
            self._found.add("commit", f"{head.writer}/{head.n + 1}", "missing", f"the audit trail sealed {last}, {there}")


def _is_what_was_committed(listed: Listed, row: Any) -> bool:
    try:
        if listed.kind == "blob":
            return isinstance(row[2], str)
        return sha256(row[2].encode("utf-8", "surrogatepass")).hexdigest() == listed.digest
    except (AttributeError, TypeError):
        return False


def _merged(first: Iterator[tuple[int, S]], second: Iterable[tuple[int, T]]) -> Iterator[tuple[int, S | None, T | None]]:
    """Yields (number, first, second) of two ascending sequences; None when one has nothing under a
    number.
    """
    rows = iter(second)
    entry, row = next(first, None), next(rows, None)
    while entry is not None or row is not None:
        left, right = entry[0] if entry else _ENDLESS, row[0] if row else _ENDLESS
        yield min(left, right), entry[1] if entry and left <= right else None, row[1] if row and right <= left else None
        if left <= right:
            entry = next(first, None)
        if right <= left:
            row = next(rows, None)


def _index_of(kind: str, body: str) -> Iterable[tuple[str, Any]]:
    record_type = record_types()[kind]
    told = msgspec.json.decode(body, type=dict)
    if not all(name in told for name in record_type.index_fields):  # a field that came later
        return encode(decode(record_type, body, where="")).index
    values = {name: told[name] if isinstance(told[name], list) else [told[name]] for name in record_type.index_fields}
    return [(name, value) for name in values for value in values[name] if value is not None]
