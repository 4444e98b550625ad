"""Compares the value of an argument with an accepted value.

- Text is compared without differences in Unicode form (NFKC), case, spaces, enclosing quotes and
  trailing punctuation.
- Numbers equal numeric text if the schema says number or integer.
- Booleans equal "true" and "false" if the schema says boolean.
- Lists are compared in order, or in any order if the accepted value is `{"any_order": [...]}`.
- Objects need the same keys.

Items of lists and objects follow the same rules. A reply is never read deeper or further than the
accepted value goes, so that value limits the work.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

Matcher = Callable[[Any], bool]

# A longer text than TEXT_FACTOR * accepted + TEXT_SLACK is not read: only padding could make it equal.
TEXT_FACTOR = 4
TEXT_SLACK = 200
MAX_LIST = 64
MAX_DEPTH = 40
TRAILING_PUNCTUATION = ".,;:!?"
ENCLOSING_QUOTES = ('""', "''", "``", "“”", "‘’", "«»")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_MAX_NUMBER_TEXT = 64
_MAX_CACHED_TEXT = 200


def normalise(text: str) -> str:
    """The form in which texts are compared. A second pass changes no ASCII text."""
    # Models repeat the same few values. Long texts are not worth the memory.
    return _normalise_short(text) if len(text) <= _MAX_CACHED_TEXT else _normalise(text)


def _normalise(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.casefold().split())
    while True:
        before = text
        text = text.rstrip(TRAILING_PUNCTUATION).rstrip() or text
        if len(text) >= 2 and text[0] + text[-1] in ENCLOSING_QUOTES:
            text = text[1:-1].strip() or text
        if text == before:
            return text


_normalise_short = lru_cache(maxsize=4096)(_normalise)


def compile_value(accepted: Any, schema: Any, depth: int = 0) -> Matcher:
    """Make a function that tells whether a value is the accepted one. It never raises."""
    if depth > MAX_DEPTH:
        return never
    types = _types_of(schema)
    if isinstance(accepted, dict):
        if set(accepted) == {"any_order"} and isinstance(accepted["any_order"], list):
            return _list_matcher(accepted["any_order"], schema, depth, ordered=False)
        return _object_matcher(accepted, schema, depth)
    if isinstance(accepted, list):
        return _list_matcher(accepted, schema, depth, ordered=True)
    if accepted is None:
        return lambda given: given is None
    if "boolean" in types and (wanted := _as_bool(accepted)) is not None:
        return lambda given: _as_bool(given) is wanted
    if types & {"integer", "number"} and (number := _as_number(accepted)) is not None:
        return lambda given: _as_number(given) == number
    if isinstance(accepted, str):
        return _text_matcher(accepted)
    if isinstance(accepted, bool):
        return lambda given: given is accepted
    return lambda given: isinstance(given, (int, float)) and not isinstance(given, bool) and given == accepted


def can_pair(options: Sequence[Sequence[int]]) -> bool:
    """Whether every left item can have a right item of its own.

    Uses augmenting paths (Kuhn 1955): at most len(options) searches, each linear in the number of
    options.

    Args:
        options: for each left item, the right items that fit it.
    """
    partner: dict[int, int] = {}

    def place(item: int, tried: set[int]) -> bool:
        for other in options[item]:
            if other not in tried:
                tried.add(other)
                if other not in partner or place(partner[other], tried):
                    partner[other] = item
                    return True
        return False

    return all(place(item, set()) for item in range(len(options)))


def never(given: Any) -> bool:
    """A matcher that accepts no value."""
    return False


def _text_matcher(accepted: str) -> Matcher:
    wanted = normalise(accepted)
    limit = TEXT_FACTOR * len(accepted) + TEXT_SLACK

    def matches(given: Any) -> bool:
        return given == accepted or (isinstance(given, str) and len(given) <= limit and normalise(given) == wanted)

    return matches


def _list_matcher(accepted: list[Any], schema: Any, depth: int, *, ordered: bool) -> Matcher:
    if len(accepted) > MAX_LIST:
        return never
    items = schema.get("items") if isinstance(schema, dict) else None
    matchers = [compile_value(value, items, depth + 1) for value in accepted]

    def matches(given: Any) -> bool:
        if not isinstance(given, (list, tuple)) or len(given) != len(matchers):
            return False
        if ordered:
            return all(match(value) for match, value in zip(matchers, given, strict=True))
        return can_pair([[i for i, value in enumerate(given) if match(value)] for match in matchers])

    return matches


def _object_matcher(accepted: dict[Any, Any], schema: Any, depth: int) -> Matcher:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    known = properties if isinstance(properties, dict) else {}
    matchers = {key: compile_value(value, known.get(key), depth + 1) for key, value in accepted.items()}

    def matches(given: Any) -> bool:
        if not isinstance(given, dict) or len(given) != len(matchers):
            return False
        return all(key in given and match(given[key]) for key, match in matchers.items())

    return matches


def _types_of(schema: Any) -> frozenset[str]:
    declared = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(declared, str):
        return frozenset((declared,))
    return frozenset(t for t in declared if isinstance(t, str)) if isinstance(declared, list) else frozenset()


def _as_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 16:
        return {"true": True, "false": False}.get(value.strip().casefold())
    return None


def _as_number(value: Any) -> float | int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str) or len(value) > _MAX_NUMBER_TEXT:
        return None
    text = value.strip()
    if _NUMBER.fullmatch(text) is None:
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)
