"""What the OpenAPI document says of Anthropic's Messages."""

from __future__ import annotations

from typing import Any

from selfopt.dialects.passed_messages import TYPES

_TURN = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string"},
        "content": {"type": ["string", "array"], "items": {"type": "object", "properties": {"type": {"type": "string"}}}},
    },
}
SCHEMAS: dict[str, Any] = {
    "MessagesRequest": {
        "type": "object",
        "description": "A request as Anthropic's API takes it. Fields that are not named here are passed on or translated.",
        "required": ["model", "messages"],
        "properties": {
            "model": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "description": "provider/name, or an alias of the settings",
            },
            "messages": {"type": "array", "minItems": 1, "items": _TURN},
            "tools": {"type": ["array", "null"], "items": {"type": "object"}},
            "stream": {"type": ["boolean", "null"]},
        },
    },
    "CountRequest": {
        "type": "object",
        "description": "A request as Anthropic's API takes it. Its server judges all fields but the model.",
        "required": ["model", "messages"],
        "properties": {
            "model": {"type": "string", "minLength": 1, "maxLength": 256},
            "messages": {"type": "array", "items": _TURN},
        },
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
