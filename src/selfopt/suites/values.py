"""Can a value that a suite accepts be what a reply gives for a JSON Schema? Only type, enum and items are looked at."""

from __future__ import annotations

from typing import Any

from selfopt.home.plain_yaml import MAX_DEPTH

__all__ = ["MAX_LIST", "value_problem"]

# The scorer compares no longer lists.
MAX_LIST = 64

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def value_problem(value: Any, schema: dict[str, Any], depth: int = 0) -> str | None:
    """Why no reply that fits the schema can equal the value, in words with the fix; None when one can.

    `{"any_order": [...]}` stands for a list. Numbers may be written as numeric text, as the scorer reads them.
    """
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels; flatten it"
    if isinstance(value, dict) and set(value) == {"any_order"}:
        value = value["any_order"]
        if not isinstance(value, list):
            return "has any_order without a list; write {any_order: [...]}"
    if isinstance(value, list) and len(value) > MAX_LIST:
        return f"is a list of {len(value)}, allowed are {MAX_LIST}; shorten it"
    types = _types_of(schema)
    if types and not any(_fits(value, t) for t in types):
        return f"{_shown(value)} is not of type {' or '.join(types)}; correct it"
    enum = schema.get("enum")
    if isinstance(enum, list) and not any(_same(value, allowed) for allowed in enum):
        return f"{_shown(value)} is not in the schema's enum ({', '.join(_shown(e) for e in enum[:8])}); correct it"
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        for item in value:
            problem = value_problem(item, items, depth + 1)
            if problem is not None:
                return problem
    return None


def _types_of(schema: dict[str, Any]) -> list[str]:
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    # A type that is no JSON Schema (another vocabulary's `dict`, `any`) says nothing here.
    return [n for n in names if isinstance(n, str)] if all(n in _JSON_TYPES for n in names if isinstance(n, str)) else []


def _fits(value: Any, json_type: str) -> bool:
    if isinstance(value, bool):
        return json_type == "boolean"
    if json_type in ("integer", "number") and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return False
        return json_type == "number" or number.is_integer()
    if json_type == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _JSON_TYPES[json_type])


def _same(value: Any, allowed: Any) -> bool:
    if isinstance(value, str) and isinstance(allowed, str):
        return value.strip().casefold() == allowed.strip().casefold()
    return bool(value == allowed)


def _shown(value: Any) -> str:
    text = repr(value)[:60]
    return "".join(c if c.isprintable() else "?" for c in text)
