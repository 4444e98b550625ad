"""Results that are a row each, as a table: the rows of a comparison, of what keys used, of an evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from enum import Enum
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from selfopt.errors import UsageError

from .columns import Column, Sort, Values
from .frames import TableRows

_SORTS: tuple[tuple[type, Sort], ...] = ((bool, "flag"), (int, "integer"), (float, "number"), (str, "text"), (Enum, "text"))


def record_rows(rows: Sequence[Any]) -> TableRows:
    """Returns frozen records of one class as a table, a column for each field.

    What stands in a field of its own class gets a column for each of its fields, with both names: `accuracy_low`.
    Tuples and mappings become JSON. Without rows there are no columns.

    Raises:
        UsageError: they are no records, or of several classes.
    """
    kinds = {type(row) for row in rows}
    if len(kinds) > 1 or not all(map(_is_record, kinds)):
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise UsageError(f"a table has rows of one class of records, not {names:.200}; hand over `.rows` of one result")
    fields = [field for kind in kinds for field in _fields(kind, ())]
    columns = tuple(Column("_".join(path), sort, "") for path, sort in fields)

    def batches() -> Iterator[Values]:
        if fields:
            yield {"_".join(path): [_cell(row, path, sort) for row in rows] for path, sort in fields}

    return TableRows(columns, batches)


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "model_fields"))


def _fields(kind: type, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Sort]]:
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is ClassVar or name.startswith(("_", "model_")):
            continue
        there = [each for each in _choices(hint) if each is not type(None)]
        if len(there) == 1 and _is_record(there[0]):
            yield from _fields(there[0], (*path, name))
        else:
            yield (*path, name), _sort(name, there)


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _sort(name: str, hints: Sequence[Any]) -> Sort:
    kinds: set[Any] = {type(value) for hint in hints if get_origin(hint) is Literal for value in get_args(hint)}
    kinds |= {hint for hint in hints if get_origin(hint) is not Literal}
    if kinds == {str} and (name == "at" or name.endswith("_at")):
        return "time"
    for known, sort in _SORTS:
        if kinds and all(isinstance(kind, type) and issubclass(kind, known) for kind in kinds):
            return sort
    return "number" if kinds == {int, float} else "json"


def _cell(row: Any, path: tuple[str, ...], sort: Sort) -> Any:
    for name in path:
        row = getattr(row, name) if row is not None else None
    if row is None or sort != "json":
        return row.value if isinstance(row, Enum) else row
    from pydantic_core import to_json

    return to_json(row).decode()
