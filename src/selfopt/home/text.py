"""Makes text of unknown origin safe to show."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

# Control and format characters (bidirectional overrides, zero width), surrogates, line and paragraph separators: each can
# make a terminal or a log show something other than the text.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SPREAD_LIMIT = 500_000


def counted(n: int, thing: str) -> str:
    """Returns a number with its noun: `1 record`, `2 records`, `2 replies`."""
    if n == 1:
        return f"{n} {thing}"
    return f"{n} {thing[:-1]}ies" if thing.endswith("y") and thing[-2:-1] not in "aeiou" else f"{n} {thing}s"


def escape_control(text: str, limit: int | None = None) -> str:
    r"""Returns the text on one line, with each control and format character written like `\x1b` or `\u202e`.

    limit: how many characters of the text to show before " ..."; None for all.
    """
    cut = limit is not None and len(text) > limit
    shown = text[:limit] if cut else text
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(_escaped(c) if unicodedata.category(c) in _HIDDEN else c for c in shown)
    return f"{shown} ..." if cut else shown


def _escaped(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def readable_json(value: Any, *, indent: int | None = None, compact: bool = False) -> str:
    r"""Returns JSON for people: letters of every script unescaped, control and format characters like `\u202e`.

    Raises ValueError for NaN and infinity.
    """
    separators = (",", ":") if compact else None
    return escape_json(json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False))


def spread_json(text: str) -> str:
    """Spreads a JSON object or list over lines.

    Returns any other text, and JSON too large or deep, unchanged.
    """
    if len(text) > _SPREAD_LIMIT:
        return text
    try:
        value = json.loads(text)
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else text
    except (ValueError, RecursionError):
        return text


def escape_json(text: str) -> str:
    r"""Returns the same JSON value with each control and format character in its strings written like `\u202e`."""
    return text if text.isascii() and "\x7f" not in text else _MAY_HIDE.sub(_escaped_in_json, text)


_MAY_HIDE = re.compile(r"[^\x00-\x7e]")


def _escaped_in_json(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if unicodedata.category(match[0]) in _HIDDEN else match[0]


def clean_unicode(text: str) -> str:
    """Returns the text with lone surrogates replaced by "?", so that it can be stored as UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
