"""Reads bounds and named forms from a JSON Schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

_LARGEST_COUNT = 10**12


def count_of(said: Any) -> int | None:
    """A count, such as that of `minItems`; None if it is none."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < _LARGEST_COUNT:
        return None
    return int(said)


def whole_bounds(schema: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """The smallest and the largest whole number that a schema allows; None: without bound.

    An exclusive bound is a number, or true in draft 4, where it is about the other bound.
    """
    low, high = _whole(schema.get("minimum"), math.ceil), _whole(schema.get("maximum"), math.floor)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    lows = [low] if above is not True or low is None else [low + 1]
    highs = [high] if below is not True or high is None else [high - 1]
    if (edge := _whole(above, math.floor)) is not None:
        lows.append(edge + 1)
    if (edge := _whole(below, math.ceil)) is not None:
        highs.append(edge - 1)
    known_lows, known_highs = [one for one in lows if one is not None], [one for one in highs if one is not None]
    return max(known_lows, default=None), min(known_highs, default=None)


def _whole(said: Any, rounded: Any) -> int | None:
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said):
        return None
    return int(rounded(said))


def named_form(told: Any) -> Literal["", "date", "time"]:
    """The form that a description mentions, such as YYYY-MM-DD."""
    if not isinstance(told, str):
        return ""
    date, time = "YYYY-MM-DD" in told, "HH:MM" in told
    return "" if date == time else "date" if date else "time"
