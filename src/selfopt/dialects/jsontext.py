"""Reads JSON from untrusted sources: bounded depth, no NaN, no lone surrogates, one error type."""

from __future__ import annotations

import json
import math
import re
import reprlib
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from selfopt.home import ShapeLimits, shape_steps

MAX_DEPTH = 64
# Limits far above any reply of a model. A text within them is decoded in the 50 ms that the
# gateway's loop may be blocked.
LARGE_TEXT = 262_144
MAX_COMMAS = 300_000
MAX_BACKSLASHES = 600_000
MAX_CONTAINERS = 100_000
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"number {text[:40]} is out of range")
    return value


_DECODER = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_LENIENT = json.JSONDecoder()
_BOM = "\ufeff"


write_text = json.JSONEncoder(ensure_ascii=False).encode
"""Writes a value as calls carry their arguments: JSON with blanks, as a text."""


def dump_json(value: Any) -> bytes:
    """Write JSON as compact UTF-8. Lone surrogates become question marks."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def parse_reply(text: str) -> Any:
    """Read the JSON of a server as `parse_json` does, but bear a byte order mark, NaN and infinity.

    Servers write them into figures that nobody reads.
    """
    return parse_json(text[1:] if text[:1] == _BOM else text, _LENIENT)


def parse_json(text: str, decoder: json.JSONDecoder = _DECODER) -> Any:
    """Read a JSON text. Lone surrogates become U+FFFD, so that the result can be stored as UTF-8.

    Raises:
        ValueError: the text is not JSON, contains NaN or infinity, or is nested more than
            MAX_DEPTH levels deep.
    """
    _refuse_excess(text)
    try:
        # Fast path: most replies have no whitespace around their value.
        value, end = decoder.raw_decode(text) if text[:1] == "{" else (None, -1)
        if end != len(text):
            value = decoder.decode(text)
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        # Python's message for a number with too many digits goes on to say how to lift the limit.
        raise ValueError(str(error).partition(":")[0]) from None
    return _scrub(value) if "\\u" in text and _SURROGATE_ESCAPE.search(text) else value


def _refuse_excess(text: str) -> None:
    """Raise ValueError for a text that is too deep, or has too many values to decode quickly.

    The check takes linear time and decodes nothing. A text with few brackets cannot be deep.
    """
    large = len(text) > LARGE_TEXT
    if large and (text.count(",") > MAX_COMMAS or text.count("\\") > MAX_BACKSLASHES):
        raise ValueError(f"more than {MAX_COMMAS} commas or {MAX_BACKSLASHES} backslashes")
    if text.count("{") + text.count("[") > MAX_DEPTH:
        limits = ShapeLimits(MAX_DEPTH, MAX_CONTAINERS, values=MAX_COMMAS, keys=MAX_COMMAS)
        for _ in shape_steps(text.encode("utf-8", "surrogatepass"), limits):
            pass


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_scrub(k): _scrub(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_scrub(v) for v in value]
    return value


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def as_str(value: Any) -> str:
    """The value if it is a text, else ""."""
    return value if isinstance(value, str) else ""


def as_text(value: Any) -> str:
    """The value if it is a text, and "" for null.

    Raises:
        ValueError: it is something else, which must not pass for an empty answer.
    """
    if value is None or isinstance(value, str):
        return value or ""
    raise ValueError(f"expected text, but got {type(value).__name__} {reprlib.repr(value)[:60]}")


def as_int(value: Any) -> int | None:
    """The value if it is a whole number in [0, 2^53), else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < 1 << 53 else None


def as_ms(value: Any, per_ms: float = 1.0) -> float | None:
    """A duration in milliseconds, given in units of which `per_ms` make one. None if invalid."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 62:
        return None
    return value / per_ms


def bounded_text(data: bytes | bytearray, limit: int) -> str:
    """The first `limit` bytes as text. Invalid UTF-8 becomes U+FFFD."""
    return bytes(data[:limit]).decode("utf-8", "replace")


def printable(text: str, limit: int = 300) -> str:
    """The text for messages: one line of at most `limit` characters without control characters."""
    line = _CONTROL.sub(lambda m: " " if m[0] in "\n\r\t" else f"\\x{ord(m[0]):02x}", text[: limit + 1])
    return line if len(text) <= limit else line[:limit] + "…"
