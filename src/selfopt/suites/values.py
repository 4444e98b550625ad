"""Checks whether a reply that fits a JSON Schema can equal an accepted value.

Looks at type, enum and items only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selfopt.home.plain_yaml import MAX_DEPTH

# The scorer accepts no longer lists.
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
    """Say why no reply that fits the schema can equal the value, with the fix. None if one can.

    `{"any_order": [...]}` stands for a list. Numeric text counts as a number, as in the scorer.
    """
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels; flatten it"
    if isinstance(value, dict) and set(value) == {"any_order"}:
        value = value["any_order"]
        if not isinstance(value, list):
            return "has any_order without a list; write {any_order: [...]}"
    if isinstance(value, list) and len(value) > MAX_LIST:
        return f"is a list of {len(value)}, allowed are {MAX_LIST}; shorten it"
    types = types_of(schema)
    if types and not any(fits(value, t) for t in types):
        return f"{shown(value)} is not of type {' or '.join(types)}; correct it"
    enum = schema.get("enum")
    if isinstance(enum, list) and not any(same(value, allowed) for allowed in enum):
        return f"{shown(value)} is not in the schema's enum ({', '.join(shown(e) for e in enum[:8])}); correct it"
    items = schema.get("items")
    if not isinstance(value, list) or not isinstance(items, dict):
        return None
    return next(filter(None, (value_problem(item, items, depth + 1) for item in value)), None)


def type_problems(schema: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """List the types in a schema that JSON Schema does not have, each with the fix."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return
    declared = schema.get("type", [])
    for name in declared if isinstance(declared, list) else [declared]:
        if not isinstance(name, str) or name not in _JSON_TYPES:
            where = f"{path}: " if path else ""
            yield f"{where}type {shown(name)} is no type of JSON Schema; use {', '.join(_JSON_TYPES)}"
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield from type_problems(inner, f"{path}.{shown(name)[1:-1]}".lstrip("."), depth + 1)
    yield from type_problems(schema.get("items"), f"{path}[]", depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(word)
        for branch in branches if isinstance(branches, list) else ():
            yield from type_problems(branch, path, depth + 1)


def types_of(schema: dict[str, Any]) -> list[str]:
    """The JSON types that a schema names.

    Empty if it names none, or types of another vocabulary.
    """
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else declared if isinstance(declared, list) else []
    # Types of other vocabularies, such as `dict` and `any`, say nothing here.
    return [n for n in names if isinstance(n, str)] if all(n in _JSON_TYPES for n in names if isinstance(n, str)) else []


def fits(value: Any, json_type: str) -> bool:
    """Whether the value has the type. Numeric text counts as a number."""
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


def same(value: Any, allowed: Any) -> bool:
    """Whether two values are equal. Text is compared without case."""
    if isinstance(value, str) and isinstance(allowed, str):
        return value.strip().casefold() == allowed.strip().casefold()
    return bool(value == allowed)


def shown(value: Any) -> str:
    """Show a value in at most 60 printable characters."""
    return "".join(c if c.isprintable() else "?" for c in repr(value)[:60])
