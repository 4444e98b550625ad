"""Reading one record of a ledger."""

from __future__ import annotations

from typing import TypeVar

from selfopt.records import Ledger, Record

R = TypeVar("R", bound=Record)


def find(ledger: Ledger, record_type: type[R], record_id: str) -> R | None:
    """The record with this id, if there is one."""
    return next(iter(ledger.read(record_type, {"id": record_id}, limit=1)), None)
