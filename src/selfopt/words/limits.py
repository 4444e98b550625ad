"""What a limit on output leaves free, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.records import FreeReason, LeftFree

_WHY: Mapping[FreeReason, str] = {
    "keyword": "no limit can say",
    "type": "JSON has no type",
    "reference": "the schema has nothing at",
    "endless": "the schema is only itself",
    "contradiction": "no value fits the schema",
    "depth": "the schema is too deep",
    "size": "the schema is too large",
    "no_schema": "this is no schema",
}
_BARE: Mapping[FreeReason, str] = {"type": "no JSON type is named"}


def left_free_lines(parts: Sequence[LeftFree]) -> list[str]:
    """Each part that is left free, one a line: `search: filters.day: no limit can say `pattern``."""
    return [f"{part.tool}: {part.where or 'all arguments'}: {_why(part)}" for part in parts]


def _why(part: LeftFree) -> str:
    if not part.keyword:
        return _BARE.get(part.why, _WHY[part.why])
    about = f" (`{part.keyword}`)" if part.why in ("contradiction", "depth", "size", "endless") else f" `{part.keyword}`"
    return f"{_WHY[part.why]}{about}"
