"""Facts of records that are read once and kept in memory, for pages that are looked at again and again.

The ledger only grows, so what was read stays true: a look reads what came since the last one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from selfopt.records import Ledger, Record

R = TypeVar("R", bound=Record)
F = TypeVar("F")


@dataclass(slots=True)
class _Seen:
    """The facts of one ledger, by the id of their record, in the order of appending."""

    facts: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class KeptFacts(Generic[R, F]):
    """What is told of each record of one kind. Several threads may read.

    Args:
        record_type: the kind. Its records are never changed, only added.
        tell: gives the facts of a record. They should be small, as all of them are kept.
    """

    def __init__(self, record_type: type[R], tell: Callable[[R], F]) -> None:
        self._type = record_type
        self._tell = tell
        self._ledgers: WeakKeyDictionary[Ledger, _Seen] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, ledger: Ledger) -> Mapping[str, F]:
        """The facts of all records by id, oldest first. Raises CorruptError if one is damaged."""
        with self._lock:
            seen = self._ledgers.setdefault(ledger, _Seen())
        with seen.lock:
            newest = next(iter(ledger.read(self._type, newest_first=True, limit=1)), None)
            if newest is not None and newest.record_id not in seen.facts:
                seen.facts.update(self._news(ledger, seen.facts))
            return MappingProxyType(seen.facts.copy())

    def _news(self, ledger: Ledger, known: Mapping[str, F]) -> dict[str, F]:
        """What was appended since, oldest first."""
        if not known:
            return {record.record_id: self._tell(record) for record in ledger.read(self._type)}
        found: dict[str, F] = {}
        for record in ledger.read(self._type, newest_first=True):
            if record.record_id in known:
                break
            found[record.record_id] = self._tell(record)
        return dict(reversed(found.items()))
