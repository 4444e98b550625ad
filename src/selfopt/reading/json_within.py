"""Finds the JSON object that an answer holds beside prose, fences and thinking."""

from __future__ import annotations

from typing import Any

from .readers.loose import LooseReader, UnreadableError

_MOST_CHARS = 100_000
_TRIES = 32


def object_within(text: str, key: str) -> dict[str, Any] | None:
    """The first JSON object in a text that has a key. None if there is none.

    Slips in the notation are borne, as in the arguments of calls. Never raises.

    Args:
        text: of any size: what comes after 100,000 characters is not read.
        key: that the object must have.
    """
    text = text[:_MOST_CHARS]
    at = -1
    for _ in range(_TRIES):
        at = text.find("{", at + 1)
        if at < 0:
            return None
        try:
            value, _ = LooseReader(text).value(at)
        except UnreadableError:
            continue
        if isinstance(value, dict) and key in value:
            return value
    return None
