"""Reads one record of a ledger by its id."""

from __future__ import annotations

from typing import TypeVar

from selfopt.errors import CorruptError
from selfopt.records import Ledger, Record

R = TypeVar("R", bound=Record)


def find(ledger: Ledger, record_type: type[R], record_id: str) -> R | None:
    """The record with this id; None when there is none."""
    return next(iter(ledger.read(record_type, {"id": record_id}, limit=1)), None)


def held(ledger: Ledger, record_type: type[R], record_id: str) -> R:
    """The record with an id that another record names.

    CorruptError when the ledger does not hold it.
    """
    found = find(ledger, record_type, record_id)
    if found is None:
        kind = record_type.__name__.lower()
        raise CorruptError(
            f"the ledger names {kind} {record_id} but does not hold it; restore the ledger from a copy or start a new home"
        )
    return found
