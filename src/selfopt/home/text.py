"""Text of unknown origin, made safe to show."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

# Control, format (bidirectional overrides, zero width), surrogates, line and paragraph separators: all can make a terminal
# or a log show something else than what is there.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def counted(n: int, thing: str) -> str:
    """`1 record`, `2 records`."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def escape_control(text: str, limit: int | None = None) -> str:
    r"""The text on one line with every control and formatting character written as `\x1b` or `\u202e`.

    limit: at most this many characters of the text are shown, then " ...".
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
    r"""JSON that people read too: letters of every script as they are, control and formatting characters as `\u202e`. ValueError for
    NaN and infinity."""
    separators = (",", ":") if compact else None
    return escape_json(json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, allow_nan=False))


def escape_json(text: str) -> str:
    r"""JSON with the control and formatting characters in its strings written as `\u202e`: the same value, and nothing hidden."""
    return text if text.isascii() else _NOT_ASCII.sub(_escaped_in_json, text)


_NOT_ASCII = re.compile(r"[^\x00-\x7e]")


def _escaped_in_json(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1] if unicodedata.category(match[0]) in _HIDDEN else match[0]


def clean_unicode(text: str) -> str:
    """The text with lone surrogates replaced by "?": what is stored must be valid UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
