"""Choices of parts that were written during a search: how a point names them, and what they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from selfopt.errors import VariantError
from selfopt.records import WrittenChoice, WrittenPart

WRITABLE: frozenset[str] = frozenset(get_args(WrittenPart))
"""The parts whose choices may be written."""
_NAME = re.compile(r"w-[0-9a-f]{8}")


def is_written(part: str, choice: str) -> bool:
    """Whether a choice of a part was written during a search, such as `instructions=w-1a2b3c4d`."""
    return part in WRITABLE and _NAME.fullmatch(choice) is not None


def names_written(point: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the choices of a point that were written during a search."""
    return tuple(choice for part, choice in point.items() if is_written(part, choice))


def fields_of_written(
    part: str, choice: str, written: Mapping[str, WrittenChoice]
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a written choice sets: fields of the variant, and options of it.

    VariantError: it is not among those that are given, or belongs to another part.
    """
    known = written.get(choice)
    if known is None or known.part != part:
        raise VariantError(f"{part}={choice} was written during a search, and this is not the search that holds it")
    if known.part == "instructions":
        return {"instructions": known.instructions}, {}
    return {"examples": known.examples}, {"layout": "turn"}
