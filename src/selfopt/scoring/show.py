"""Shows values of a reply in one short line that is safe for a terminal."""

from __future__ import annotations

from itertools import islice
from typing import Any

MAX_WHY = 400
_MAX_TEXT = 60
_MAX_ITEMS = 5
_MAX_DEPTH = 3
_MAX_INT_BITS = 128


def _escape(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def clip(text: str, limit: int = MAX_WHY) -> str:
    """Cut a text to `limit` characters and mark the cut."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def show_name(name: str) -> str:
    """The name of a tool or an argument, with a limited length and without control characters."""
    return _escape(name) if len(name) <= _MAX_TEXT else _escape(name[:_MAX_TEXT]) + "..."


def show_value(value: Any, depth: int = 0) -> str:
    """Any JSON value, with a limited length and depth. Never raises."""
    if isinstance(value, str):
        return f"'{show_name(value)}'"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int):
        # Printing takes time with the square of the length, and Python refuses from 4300 digits on.
        return repr(value) if value.bit_length() <= _MAX_INT_BITS else f"an integer of {value.bit_length()} bits"
    if depth >= _MAX_DEPTH and isinstance(value, (list, tuple, dict)):
        return "[...]" if isinstance(value, (list, tuple)) else "{...}"
    if isinstance(value, (list, tuple)):
        return "[" + _joined([show_value(v, depth + 1) for v in value[:_MAX_ITEMS]], len(value)) + "]"
    if isinstance(value, dict):
        items = [f"{_show_key(k)}: {show_value(v, depth + 1)}" for k, v in islice(value.items(), _MAX_ITEMS)]
        return "{" + _joined(items, len(value)) + "}"
    return f"a {type(value).__name__}"


def _show_key(key: Any) -> str:
    return show_name(key) if isinstance(key, str) else show_value(key, _MAX_DEPTH)


def _joined(parts: list[str], count: int) -> str:
    rest = [f"and {count - len(parts)} more"] if count > len(parts) else []
    return ", ".join(parts + rest)
