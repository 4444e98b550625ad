"""Compares argument values as the checker of the Berkeley Function Calling Leaderboard does.

The rules are those of `ast_checker.py` in bfcl-eval 2026.3.23 for Python, with all oddities;
`perf/bfcl_parity.py` compares the two. A value has to have the declared type. It may also have the
type of the first accepted value, and is then compared as it is. Text is compared without case,
spaces and `,./-_*^`, lists in order, and objects key by key, one level deep.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .values import Matcher, never

# JSON Schema has no type for `any`. The checker treats it as text.
_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
_DROPPED = str.maketrans({**dict.fromkeys(" ,./-_*^"), "'": '"'})
_MAX_CACHED_TEXT = 200
# For each key of an accepted object: its accepted values, and whether it may be left out.
_Options = dict[str, tuple[list[Any], bool]]


def plain(text: str) -> str:
    """The form in which texts are compared."""
    return _plain_short(text) if len(text) <= _MAX_CACHED_TEXT else _plain(text)


def _plain(text: str) -> str:
    return text.translate(_DROPPED).lower()


_plain_short = lru_cache(maxsize=8192)(_plain)


def compile_argument(schema: Any, accepted: list[Any]) -> Matcher:
    """Make a function that tells whether a value is accepted.

    It never raises. A schema of unknown type accepts none.
    """
    outer = _type_of(schema)
    inner = _type_of(schema.get("items")) if outer is list else None
    if outer is None or (outer is list and inner is None):
        return never
    first = _first_type(accepted)
    items_fit = _items_matcher(inner, accepted) if inner is not None else None
    # If the first accepted value has another type, the checker expects a variable, compared as it is.
    equal = _is_one_of(accepted) if first is not None and first is not outer else _equal_matcher(outer, inner, accepted)
    as_tuple = outer is list and schema.get("format") == "tuple"

    def matches(given: Any) -> bool:
        kind = type(given)
        if kind is tuple and as_tuple:
            given, kind = list(given), list
        elif kind is int and outer is float:
            try:
                given, kind = float(given), float
            except OverflowError:
                return False
        if kind is outer:
            return (items_fit is None or items_fit(given)) and equal(given)
        return kind is first and given in accepted

    return matches


def _type_of(schema: Any) -> type | None:
    kind = schema.get("type", "string") if isinstance(schema, dict) else None
    return _TYPES.get(kind) if isinstance(kind, str) else None


def _first_type(accepted: Any) -> type | None:
    return next((type(value) for value in accepted if value != ""), None)


def _is_one_of(accepted: list[Any]) -> Matcher:
    return lambda given: given in accepted


def _items_matcher(inner: type, accepted: list[Any]) -> Matcher:
    """Whether the items of a list have allowed types.

    Each has the declared type, or the type of the first item of one accepted list.
    """
    if any(type(value) is not list for value in accepted):
        return lambda given: True
    allowed = [{inner, _first_type(value) or inner} for value in accepted]
    return lambda given: any(all(type(item) in types for item in given) for types in allowed)


def _equal_matcher(outer: type, inner: type | None, accepted: list[Any]) -> Matcher:
    if outer is str:
        texts = frozenset(plain(value) for value in accepted if type(value) is str)
        return lambda given: plain(given) in texts
    if outer is dict:
        objects = [_object_options(value) for value in accepted if value != ""]
        return lambda given: any(one is not None and _fits_object(given, one) for one in objects)
    if outer is list:
        return _objects_matcher(accepted) if inner is dict else _list_matcher(accepted)
    return _is_one_of(accepted)


def _plain_value(value: Any) -> Any:
    return plain(value) if type(value) is str else value


def _list_matcher(accepted: list[Any]) -> Matcher:
    if any(type(value) not in (list, str) for value in accepted):
        return never  # the checker fails on these
    lists = [list(map(_plain_value, value)) for value in accepted]
    return lambda given: list(map(_plain_value, given)) in lists


def _objects_matcher(accepted: list[Any]) -> Matcher:
    """Compare a list of objects, each with the accepted object at the same place."""
    lists = [[_object_options(item) for item in value] for value in accepted if type(value) is list or value == ""]

    return lambda given: any(
        len(options) == len(given)
        and all(
            one is not None and type(item) is dict and _fits_object(item, one) for one, item in zip(options, given, strict=True)
        )
        for options in lists
    )


def _object_options(accepted: Any) -> _Options | None:
    """The options of an accepted object. None if its keys don't list values: no reply equals it."""
    if type(accepted) is not dict or any(type(values) not in (list, str) for values in accepted.values()):
        return None
    return {key: (list(map(_plain_value, values)), "" in values) for key, values in accepted.items()}


def _fits_object(given: dict[str, Any], options: _Options) -> bool:
    if any(key not in options or _plain_value(value) not in options[key][0] for key, value in given.items()):
        return False
    return all(optional or key in given for key, (_, optional) in options.items())
