"""A ledger in memory, for dry runs and tests.

It has the contract of the file, and ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from selfopt.errors import CorruptError, StoreError
from selfopt.records import Blob, Record

from .codec import Row, check_blob, check_where, decode, encode, kind_of, same_content

R = TypeVar("R", bound=Record)

_WHERE = "the ledger in memory"


class MemoryLedger:
    """Keeps records in memory, as JSON bodies, so that reading goes through the same form as with a
    file.
    """

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, Row]] = {}
        self._lock = threading.Lock()
        self._closed = False

    async def append(self, records: Sequence[Record]) -> None:
        """See `selfopt.records.Ledger.append`."""
        for record in records:
            if isinstance(record, Blob):
                check_blob(record)
        new = list(map(encode, records))
        with self._lock:
            self._check_open()
            fresh: dict[tuple[str, str], Row] = {}
            for record, row in zip(records, new, strict=True):
                known = fresh.get((row.kind, row.id)) or self._rows.get(row.kind, {}).get(row.id)
                if known is None:
                    fresh[row.kind, row.id] = row
                elif not same_content(type(record), known.body, row.body, where=_WHERE):
                    raise CorruptError(f"{_WHERE} already has another {row.kind} {row.id}; nothing was appended")
            for row in fresh.values():
                self._rows.setdefault(row.kind, {})[row.id] = row

    def read(
        self,
        record_type: type[R],
        where: Mapping[str, str | int] | None = None,
        *,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[R]:
        """See `selfopt.records.Ledger.read`."""
        conditions = check_where(record_type, where)
        kind = kind_of(record_type)
        with self._lock:
            self._check_open()
            kept = self._rows.get(kind, {})
            sought = [str(value) for name, value in conditions if name == "id"]
            rows = [kept[one] for one in sought[:1] if one in kept] if sought else list(kept.values())
        if newest_first:
            rows.reverse()
        hits = (row for row in rows if all((n == "id" and row.id == v) or (n, v) in row.index for n, v in conditions))
        return (decode(record_type, row.body, where=_WHERE) for row in islice(hits, limit))

    def close(self) -> None:
        """Forget everything. May be called twice."""
        with self._lock:
            self._rows = {}
            self._closed = True

    def ids(self, record_type: type[Record]) -> list[str]:
        """Returns the ids of one kind, in the order of appending."""
        kind = kind_of(record_type)
        with self._lock:
            self._check_open()
            return list(self._rows.get(kind, {}))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{_WHERE} is closed; open a new one")
