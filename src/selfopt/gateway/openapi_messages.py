"""What the OpenAPI document says of Anthropic's Messages."""

from __future__ import annotations

from typing import Any

from selfopt.dialects.passed_messages import TYPES


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": properties}


_MODEL = {"type": "string", "minLength": 1, "maxLength": 256, "description": "provider/name, or an alias of the settings"}
_BLOCK = _object("type text", type={"const": "text"}, text={"type": "string"})
_CONTENT = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": _BLOCK}],
    "description": "a text, or blocks; pictures, calls and results where they belong",
}
_TURN = _object("role content", role={"enum": ["user", "assistant"]}, content=_CONTENT)
_TOOL = _object(
    "name input_schema",
    name={"type": "string", "minLength": 1},
    description={"type": ["string", "null"]},
    input_schema={"type": "object"},
)
SCHEMAS: dict[str, Any] = {
    "MessagesRequest": {
        **_object(
            "model messages",
            model=_MODEL,
            messages={"type": "array", "minItems": 1, "items": _TURN},
            system={"type": ["string", "null", "array"], "items": _BLOCK},
            tools={"type": ["array", "null"], "items": _TOOL},
            stream={"type": ["boolean", "null"]},
        ),
        "description": "A request as Anthropic's API takes it, as far as every server does. docs/DIALECTS.md has all other fields.",
    },
    "CountRequest": {
        "type": "object",
        "description": "A request as Anthropic's API takes it. Its server judges all fields but the model.",
        "required": ["model", "messages"],
        "properties": {"model": _MODEL, "messages": {"type": "array", "items": _TURN}},
    },
    "Message": {
        "type": "object",
        "required": ["content"],
        "properties": {
            "id": {"type": "string"},
            "type": {"const": "message"},
            "content": {"type": "array", "items": {"type": "object"}},
            "stop_reason": {"type": ["string", "null"]},
            "usage": {"type": "object"},
        },
    },
    "TokenCount": {
        "type": "object",
        "description": "What the server answers.",
        "properties": {"input_tokens": {"type": "integer"}},
    },
    "MessagesError": {
        "type": "object",
        "required": ["type", "error"],
        "properties": {
            "type": {"const": "error"},
            "error": {
                "type": "object",
                "required": ["type", "message"],
                "properties": {"type": {"type": "string", "examples": sorted(TYPES)}, "message": {"type": "string"}},
            },
            "request_id": {"type": ["string", "null"]},
        },
    },
}
