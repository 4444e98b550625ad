"""JSON Schemas for constrained replies: {"tool_calls": [...]}, empty for no call.

They allow what the grammars allow, in the keywords that servers commonly understand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import ToolDefinition

from .schema_shapes import argument_shapes
from .shapes import AnyValue, Choice, Either, Form, Listing, Members, Named, NoValue, Plain, Text, ValueShape, WholeNumber

_MINUTES = "([01][0-9]|2[0-3]):[0-5][0-9]"
_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_CLOCK = rf"{_MINUTES}(:([0-5][0-9]|60)(\.[0-9]+)?)?([Zz]|[+-]{_MINUTES})?"
# Patterns in place of `format`, of which each server has its own, narrower idea.
_FORMS: Mapping[Form, str] = {"date": f"^{_DAY}$", "time": f"^{_CLOCK}$", "date-time": f"^{_DAY}[Tt ]{_CLOCK}$"}


def calls_schema(tools: Sequence[ToolDefinition], max_calls: int, required: bool = False) -> dict[str, Any]:
    """The schema of an object with up to max_calls calls, or at least one with `required`."""
    definitions: dict[str, Any] = {}
    items = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": _arguments(tool, definitions, len(tools))},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    calls: dict[str, Any] = {"type": "array", "maxItems": max_calls if items else 0}
    if items:
        calls["items"] = {"anyOf": items}
        if required:
            calls["minItems"] = 1
    body = {"type": "object", "properties": {"tool_calls": calls}, "required": ["tool_calls"], "additionalProperties": False}
    return {**body, "$defs": definitions} if definitions else body


def choice_schema(tools: Sequence[ToolDefinition], max_calls: int, required: bool = False) -> dict[str, Any]:
    """The schema of a list of up to max_calls names of tools; with `required`, at least one."""
    names = [tool.name for tool in tools]
    if not names:
        return {"type": "array", "maxItems": 0}
    least = {"minItems": 1} if required else {}
    return {"type": "array", "items": {"type": "string", "enum": names}, **least, "maxItems": max_calls}


def arguments_schema(tool: ToolDefinition) -> dict[str, Any]:
    """The schema of a tool's arguments."""
    definitions: dict[str, Any] = {}
    body = _arguments(tool, definitions, 1)
    return {**body, "$defs": definitions} if definitions else body


def _arguments(tool: ToolDefinition, definitions: dict[str, Any], among: int) -> dict[str, Any]:
    """The schema of a tool's arguments. Adds what it refers to, under names of its own."""
    shapes = argument_shapes(tool, among)
    names = {name: f"d{len(definitions) + place}" for place, name in enumerate(shapes.definitions)}
    definitions.update({names[name]: _schema(shape, names) for name, shape in shapes.definitions.items()})
    return _schema(shapes.root, names)


def _schema(shape: ValueShape, names: Mapping[str, str]) -> dict[str, Any]:
    body = _body(shape, names)
    return {"description": shape.note, **body} if shape.note else body


def _body(shape: ValueShape, names: Mapping[str, str]) -> dict[str, Any]:
    match shape:
        case Plain():
            return {"type": shape.kind}
        case Text():
            if shape.form:
                return {"type": "string", "pattern": _FORMS[shape.form]}
            return {"type": "string", **_bounds("minLength", shape.least or None, "maxLength", shape.most)}
        case WholeNumber():
            return {"type": "integer", **_bounds("minimum", shape.low, "maximum", shape.high)}
        case Choice():
            return _choice([json.loads(text) for text in shape.values])
        case Either():
            return {"anyOf": [_schema(part, names) for part in shape.parts]}
        case Named():
            return {"$ref": f"#/$defs/{names[shape.name]}"}
        case Listing():
            return _list(shape, names)
        case Members():
            return _object(shape, names)
    return {}


def _choice(values: Sequence[Any]) -> dict[str, Any]:
    kind = {"type": "string"} if all(isinstance(value, str) for value in values) else {}
    return {**kind, "enum": list(values)}


def _list(shape: Listing, names: Mapping[str, str]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    if shape.first:
        items = {"prefixItems": [_schema(part, names) for part in shape.first]}
    elif not isinstance(shape.rest, NoValue | AnyValue):
        items = {"items": _schema(shape.rest, names)}
    return {"type": "array", **items, **_bounds("minItems", shape.least or None, "maxItems", shape.most)}


def _object(shape: Members, names: Mapping[str, str]) -> dict[str, Any]:
    closed, free = isinstance(shape.extra, NoValue), isinstance(shape.extra, AnyValue)
    others: Any = False if closed else True if free else _schema(shape.extra, names)
    if not shape.listed and not closed:
        return {"type": "object", "additionalProperties": others}
    return {
        "type": "object",
        "properties": {key: _schema(part, names) for key, part in shape.listed.items()},
        "required": [key for key in shape.listed if key in shape.required],
        "additionalProperties": others,
    }


def _bounds(least: str, low: int | None, most: str, high: int | None) -> dict[str, int]:
    return {word: bound for word, bound in ((least, low), (most, high)) if bound is not None}
