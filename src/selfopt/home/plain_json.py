"""Reads JSON as plain data: bounded, without repeated keys, NaN, infinity or half surrogate pairs."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import count
from typing import Any, NoReturn

from .plain_yaml import MAX_DEPTH, MAX_NODES

_MAX_SHOWN = 60
_TOO_MANY = f"more than {MAX_NODES} values; split the file"


class PlainJsonError(ValueError):
    """The text is not plain JSON. The message says what is wrong and how to fix it."""


def read_plain_json(text: str) -> Any:
    """Returns the data of one JSON text.

    Raises PlainJsonError for text that is not JSON, a repeated key, NaN or infinity, a string that
    UTF-8 cannot express, nesting deeper than MAX_DEPTH, or more than MAX_NODES values.
    """
    read = count(1)  # mappings are counted as they are read: each takes far more memory than text

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if next(read) > MAX_NODES:
            raise PlainJsonError(_TOO_MANY)
        body = dict(pairs)
        if len(body) != len(pairs):
            twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
            raise PlainJsonError(f"the key {twice[:_MAX_SHOWN]!r} occurs twice in one mapping; keep one of the two")
        return body

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise PlainJsonError(f"nested deeper than {MAX_DEPTH} levels; flatten it") from None
    except PlainJsonError:
        raise
    except ValueError as error:
        raise PlainJsonError(f"not valid JSON: {error}; correct it") from None
    _check(data)
    return data


def _refuse(name: str) -> NoReturn:
    raise PlainJsonError(f"{name} is not a JSON number; write a number, or null")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise PlainJsonError(f"the number {digits[:_MAX_SHOWN]} is too large; write it as text if that is what you mean")
    return number


def _check(data: Any) -> None:
    """Check texts, depth and number of values.

    Goes level by level, so that no depth exhausts the stack.
    """
    level, nodes = [data], 0
    for _ in range(MAX_DEPTH + 1):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise PlainJsonError(_TOO_MANY)
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                for key in value:
                    _check_text(key)
                below += value.values()
            elif isinstance(value, list):
                below += value
        if not below:
            return
        level = below
    raise PlainJsonError(f"nested deeper than {MAX_DEPTH} levels; flatten it")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            shown = text[:_MAX_SHOWN].encode("ascii", "backslashreplace").decode("ascii")
            raise PlainJsonError(f"the text {shown!r} contains half of a surrogate pair; write the whole character") from None
