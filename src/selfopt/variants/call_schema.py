"""JSON Schemas for constrained replies: {"tool_calls": [...]}, empty for no call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import ToolDefinition

_DEPTH_LIMIT = 5
_PROPERTY_LIMIT = 40
_CHOICE_LIMIT = 64
_KEPT = ("description", "enum", "const", "format", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength")
_TYPES = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})


def calls_schema(tools: Sequence[ToolDefinition], max_calls: int, required: bool = False) -> dict[str, Any]:
    """The schema of an object with up to max_calls calls, or at least one with `required`."""
    items = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": arguments_schema(tool)},
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
    return {"type": "object", "properties": {"tool_calls": calls}, "required": ["tool_calls"], "additionalProperties": False}


def choice_schema(tools: Sequence[ToolDefinition], max_calls: int, required: bool = False) -> dict[str, Any]:
    """The schema of a list of up to max_calls names of tools; with `required`, at least one."""
    names = [tool.name for tool in tools]
    if not names:
        return {"type": "array", "maxItems": 0}
    least = {"minItems": 1} if required else {}
    return {"type": "array", "items": {"type": "string", "enum": names}, **least, "maxItems": max_calls}


def arguments_schema(tool: ToolDefinition) -> dict[str, Any]:
    """A tool's parameters, reduced to the keywords that servers commonly understand."""
    kept = _kept(tool.parameters, 0)
    return kept if kept.get("type") == "object" else {"type": "object"}


def _kept(schema: Any, depth: int) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or depth > _DEPTH_LIMIT:
        return {}
    out: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if isinstance(out.get("enum"), list):
        out["enum"] = out["enum"][:_CHOICE_LIMIT]
    kind = schema.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        out["type"] = kind
    elif isinstance(kind, list):
        out["type"] = [one for one in kind if isinstance(one, str) and one in _TYPES]
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        out["items"] = _kept(schema["items"], depth + 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            out["anyOf"] = [_kept(part, depth + 1) for part in schema[key][:8]]
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and len(properties) <= _PROPERTY_LIMIT:
        out["properties"] = {str(key): _kept(part, depth + 1) for key, part in properties.items()}
        required = schema.get("required")
        out["required"] = [key for key in required if key in properties] if isinstance(required, list) else []
        out["additionalProperties"] = False
    return out
