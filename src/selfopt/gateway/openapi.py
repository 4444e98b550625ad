"""What the gateway answers, as an OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

from selfopt import __version__

__all__ = ["OPENAPI", "OPENAPI_JSON"]

_ERROR = {"$ref": "#/components/schemas/Error"}
_NAMES = {"type": "string", "minLength": 1, "maxLength": 256}
SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": {"type": ["string", "null"]},
                    "code": {"type": ["string", "number", "null"]},
                },
            }
        },
    },
    "ChatRequest": {
        "type": "object",
        "description": "A chat as OpenAI's API takes it. Fields that are not named here are passed on.",
        "required": ["model", "messages"],
        "properties": {
            "model": {**_NAMES, "description": "provider/name, or an alias of the settings"},
            "messages": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["role"], "properties": {"role": {"type": "string"}}},
            },
            "tools": {"type": ["array", "null"], "items": {"type": "object"}},
            "stream": {"type": ["boolean", "null"]},
        },
    },
    "Completion": {
        "type": "object",
        "required": ["choices"],
        "properties": {"id": {"type": "string"}, "choices": {"type": "array", "items": {"type": "object"}}},
    },
    "Model": {
        "type": "object",
        "required": ["id", "object", "created", "owned_by"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "model"},
            "created": {"type": "integer"},
            "owned_by": {"type": "string"},
        },
    },
    "Models": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}},
    },
    "Feedback": {
        "type": "object",
        "description": "The outcome of an earlier request; at least one of success, score and comment.",
        "required": ["id"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "maxLength": 100, "description": "x-request-id of the answer"},
            "success": {"type": ["boolean", "null"]},
            "score": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
            "comment": {"type": ["string", "null"], "maxLength": 2000},
        },
    },
    "FeedbackTaken": {
        "type": "object",
        "required": ["object", "id"],
        "properties": {"object": {"const": "feedback"}, "id": {"type": "string"}},
    },
    "Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _responses(name: str, *, streamed: bool = False) -> dict[str, Any]:
    content = _json(name)
    if streamed:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "200": {"description": "Done", "content": content},
        "default": {"description": "Not done; the message says why", "content": {"application/json": {"schema": _ERROR}}},
    }


def _header(name: str, values: list[str], what: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string", "enum": values}}


OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "selfopt gateway", "version": __version__},
    "security": [{}, {"key": []}],
    "paths": {
        "/v1/chat/completions": {
            "post": {
                "summary": "A chat, served as the rules in force say",
                "parameters": [
                    _header("x-selfopt-phase", ["atomic", "extended"], "the kind of work; needs the scope phase"),
                    _header("x-selfopt-variant", ["off"], "without the promoted variant; needs the scope variant"),
                ],
                "requestBody": {"required": True, "content": _json("ChatRequest")},
                "responses": _responses("Completion", streamed=True),
            }
        },
        "/v1/feedback": {
            "post": {
                "summary": "The outcome of an earlier request; needs the scope feedback",
                "requestBody": {"required": True, "content": _json("Feedback")},
                "responses": _responses("FeedbackTaken"),
            }
        },
        "/v1/models": {"get": {"summary": "Models that may be asked", "responses": _responses("Models")}},
        "/v1/models/{id}": {
            "get": {
                "summary": "One model",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": _NAMES}],
                "responses": _responses("Model"),
            }
        },
        "/health": {"get": {"summary": "Whether the process answers; nothing is generated", "responses": _responses("Health")}},
        "/ready": {"get": {"summary": "Whether requests are taken; nothing is generated", "responses": _responses("Health")}},
        "/metrics": {
            "get": {
                "summary": "Counters in Prometheus's text format",
                "responses": {"200": {"description": "Done", "content": {"text/plain": {"schema": {"type": "string"}}}}},
            }
        },
    },
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}, "schemas": SCHEMAS},
}
OPENAPI_JSON = msgspec.json.encode(OPENAPI)
