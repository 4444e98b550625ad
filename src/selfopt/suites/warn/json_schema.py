"""Checks whether a value fits a JSON Schema, as far as tools use it. Ignores unknown keywords.

Known keywords: type, enum, const, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf,
minLength, maxLength, minItems, maxItems, uniqueItems, items, properties, required,
additionalProperties, anyOf, oneOf, allOf, local $ref. Like the scorer, accepts text in another case
than an enum's, and numeric text for a number.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from typing import Any

from selfopt.home.plain_yaml import MAX_DEPTH
from selfopt.suites.values import fits, same, shown, types_of

# A keyword, whether a number breaks its limit, and how messages say so.
_RANGES: tuple[tuple[str, Callable[[float, float], bool], str], ...] = (
    ("minimum", operator.lt, "below the minimum"),
    ("maximum", operator.gt, "above the maximum"),
    ("exclusiveMinimum", operator.le, "not above"),
    ("exclusiveMaximum", operator.ge, "not below"),
)


def schema_problem(value: Any, schema: Any, root: Any = None) -> str | None:
    """Say how the value breaks the schema first; None if it fits.

    `$ref` refers to `root`, by default the schema.
    """
    return next(_problems(value, schema, schema if root is None else root, 0), None)


def _problems(value: Any, schema: Any, root: Any, depth: int) -> Iterator[str]:
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return
    if isinstance(reference := schema.get("$ref"), str):
        yield from _problems(value, _resolved(reference, root), root, depth + 1)
    types = types_of(schema)
    if types and not any(fits(value, t) for t in types):
        yield f"{shown(value)} is not of type {' or '.join(types)}"
        return
    enum = schema.get("enum")
    if isinstance(enum, list) and not any(same(value, allowed) for allowed in enum):
        yield f"{shown(value)} is not in the enum ({', '.join(shown(e) for e in enum[:8])})"
    if "const" in schema and not same(value, schema["const"]):
        yield f"{shown(value)} is not {shown(schema['const'])}"
    yield from _combined(value, schema, root, depth)
    number = _number(value, types)
    if number is not None:
        yield from _number_problems(number, schema)
    elif isinstance(value, str):
        yield from _length_problems(len(value), schema, "Length", "characters")
    elif isinstance(value, list):
        yield from _list_problems(value, schema, root, depth)
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, root, depth)


def _resolved(reference: str, root: Any) -> Any:
    if not reference.startswith("#"):
        return None
    found = root
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _combined(value: Any, schema: dict[str, Any], root: Any, depth: int) -> Iterator[str]:
    for word in ("anyOf", "oneOf"):
        branches = schema.get(word)
        if isinstance(branches, list) and branches:
            problems = [next(_problems(value, branch, root, depth + 1), None) for branch in branches]
            if None not in problems:
                yield f"{problems[0]} (nor does it fit another branch of {word})" if len(problems) > 1 else str(problems[0])
    for branch in schema.get("allOf", []) if isinstance(schema.get("allOf"), list) else []:
        yield from _problems(value, branch, root, depth + 1)


def _number(value: Any, types: list[str]) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and set(types) & {"integer", "number"}:
        try:
            return float(value)
        except ValueError:
            return None
    return None


def _limit(schema: dict[str, Any], word: str) -> float | None:
    limit = schema.get(word)
    return float(limit) if isinstance(limit, int | float) and not isinstance(limit, bool) else None


def _number_problems(number: float, schema: dict[str, Any]) -> Iterator[str]:
    for word, breaks, how in _RANGES:
        if (limit := _limit(schema, word)) is not None and breaks(number, limit):
            yield f"{number:g} is {how} {limit:g}"
    step = _limit(schema, "multipleOf")
    if step is not None and step > 0 and abs(number / step - round(number / step)) > 1e-9:
        yield f"{number:g} is not a multiple of {step:g}"


def _length_problems(length: int, schema: dict[str, Any], noun: str, what: str) -> Iterator[str]:
    if (low := _limit(schema, f"min{noun}")) is not None and length < low:
        yield f"it has {length} {what}, at least {low:g} are needed"
    if (high := _limit(schema, f"max{noun}")) is not None and length > high:
        yield f"it has {length} {what}, at most {high:g} are allowed"


def _list_problems(value: list[Any], schema: dict[str, Any], root: Any, depth: int) -> Iterator[str]:
    yield from _length_problems(len(value), schema, "Items", "items")
    if schema.get("uniqueItems") is True and len({json.dumps(v, sort_keys=True, default=str) for v in value}) < len(value):
        yield "it has an item twice"
    for item in value:
        yield from _problems(item, schema.get("items"), root, depth + 1)


def _object_problems(value: dict[str, Any], schema: dict[str, Any], root: Any, depth: int) -> Iterator[str]:
    properties = schema.get("properties")
    known: dict[str, Any] = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    for name in required if isinstance(required, list) else []:
        if isinstance(name, str) and name not in value:
            yield f"{shown(name)} is missing"
    for name, inner in value.items():
        if name in known:
            yield from (f"{shown(name)}: {problem}" for problem in _problems(inner, known[name], root, depth + 1))
        elif schema.get("additionalProperties") is False:
            yield f"{shown(name)} is not one of its properties"
