"""Reads one record of a ledger by its id, and says which it lacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from selfopt.errors import CorruptError
from selfopt.records import Ledger, Record, Spec

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


def unknown_specs(ledger: Ledger, specs: Iterable[Spec]) -> list[Spec]:
    """The specs that the ledger does not have, each once.

    A spec that is there under another variant name is the same spec.
    """
    wanted = {spec.spec_id: spec for spec in specs}
    return [spec for spec_id, spec in wanted.items() if find(ledger, Spec, spec_id) is None]
