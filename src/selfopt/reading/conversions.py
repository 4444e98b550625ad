"""Compares and converts single values of JSON."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

from .earlier.literals import LiteralReader, UnreadableError

_NUMBER = re.compile(r"[+-]?+(?:[0-9]{1,64}+(?:\.[0-9]{0,64}+)?+|\.[0-9]{1,64}+)(?:[eE][+-]?+[0-9]{1,4}+)?+")
_LAYERS = 3  # how often a value may be encoded as text
LARGEST = 1e300  # Python refuses to write much larger whole numbers
_EXACT = 2**53  # below it every whole number has a float of its own
_BETWEEN_WORDS = re.compile(r"[\s_\-]+")


def is_kind(value: Any, kind: object) -> bool:
    """Whether a value is of a type of JSON Schema. None as a type means any.

    3.0 is not of type integer here, so that it is converted to 3.
    """
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None
    return True


def as_kind(value: Any, kind: object) -> tuple[Any, bool]:
    """A single value as one of a type of JSON Schema, and whether it is one now. What can't be converted stays as it is."""
    text = value.strip() if isinstance(value, str) else ""
    match kind:
        case "string" if is_kind(value, "number") and abs(value) < LARGEST:
            return str(value), True
        case "boolean" if text.lower() in ("true", "false"):
            return text.lower() == "true", True
        case "null" if text.lower() in ("null", "none"):
            return None, True
        case "integer" | "number":
            number = as_number(value)
            fits = number is not None and is_kind(number, kind)
            return (number, True) if fits else (value, False)
    return value, False


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in JSON: 1 is 1.0, but not true."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def key_of(value: Any) -> str:
    """A text that two values share if they are equal in JSON, whatever the order of members.

    What is too deep to write is equal to nothing.
    """
    try:
        return json.dumps(value, sort_keys=True, default=str)
    except (ValueError, TypeError, RecursionError):
        return f"{id(value)}"


def alike(value: Any, choice: Any) -> bool:
    """Whether a value and a choice are the same but for type, case, and the marks between words."""
    if same(value, choice):
        return True
    if isinstance(value, list | dict) or isinstance(choice, list | dict):
        return False
    if isinstance(choice, int | float) and not isinstance(choice, bool) and isinstance(value, str):
        number = as_number(value)
        return number is not None and same(number, choice)
    return spelling(value) == spelling(choice) != ""


def spelling(value: Any) -> str:
    """How a single value is written, but for type, case and the marks between words; "" for others."""
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    if not isinstance(value, str):
        number = as_number(value)
        return "" if number is None or not abs(number) < LARGEST else str(number)
    return _BETWEEN_WORDS.sub(" ", value.strip()).casefold()


def as_number(value: Any) -> int | float | None:
    """The number that a value is or says, whole where nothing is lost; None if it is none."""
    if isinstance(value, str):
        text = value.strip()
        if not _NUMBER.fullmatch(text):
            return None
        if text.lstrip("+-").isdecimal():
            return int(text)
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def parsed(text: str, kind: str) -> Any:
    """The array or object that a text holds, also encoded up to three times; else the text."""
    value: Any = text
    for _ in range(_LAYERS):
        inner = value.strip()
        if not inner.startswith(("[", "(", "{", '"')):
            return text
        reader = LiteralReader(inner)
        try:
            value, end = reader.value(0)
        except UnreadableError:
            return text
        if end != len(inner) or reader.repaired:
            return text
        if not isinstance(value, str):
            return value if is_kind(value, kind) else text
    return text
