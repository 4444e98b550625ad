"""Finds a record by a short form of its id, as people type it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar, runtime_checkable

from selfopt.errors import UsageError
from selfopt.records import Ledger, Record

R = TypeVar("R", bound=Record)

_NAMED = 5
_TYPED_MAX = 80


@runtime_checkable
class _ListsIds(Protocol):
    def ids(self, record_type: type[Record]) -> list[str]: ...


def resolve(ledger: Ledger, record_type: type[R], id_prefix: str) -> R:
    """Returns the one record whose id equals, starts with or ends with what was typed.

    The prefix before the dash may be left out. Ids that are made from the time start alike, and
    their end tells them apart. Raises UsageError when no id fits or several do; it names the
    candidates.
    """
    kind = record_type.ledger_kind.replace("_", " ")
    typed = id_prefix.strip().lower()
    if not typed:
        raise UsageError(f"no {kind} id given; give at least its first or last characters")
    whole = next(iter(ledger.read(record_type, {"id": typed}, limit=1)), None)
    if whole is not None:  # pages and programs name whole ids, and a long ledger has many
        return whole
    known = (
        ledger.ids(record_type) if isinstance(ledger, _ListsIds) else [record.record_id for record in ledger.read(record_type)]
    )
    found = _matches(known, typed)
    if not found:
        newest = f"the newest is {known[-1]}" if known else "there is none yet"
        raise UsageError(f"no {kind} has an id like {typed[:_TYPED_MAX]!r}; {newest}")
    if len(found) > 1:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise UsageError(
            f"{typed[:_TYPED_MAX]!r} fits {len(found)} {kind} ids: {', '.join(found[:_NAMED])}{more}; type more of it"
        )
    return next(iter(ledger.read(record_type, {"id": found[0]})))


def _matches(known: Sequence[str], typed: str) -> list[str]:
    exact = [name for name in known if name.lower() == typed]
    if exact:
        return exact
    starts = [name for name in known if name.lower().startswith(typed) or name.lower().partition("-")[2].startswith(typed)]
    return starts or [name for name in known if name.lower().endswith(typed)]
