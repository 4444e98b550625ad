"""The OpenAPI document of the gateway."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from selfopt import __version__
from selfopt.dialects.clients import PassReason

from .cutting import Cut
from .escalation import EscalationReason
from .openapi_messages import SCHEMAS as MESSAGES_SCHEMAS
from .ticket import Read, Unmet

_NAMES = {"type": "string", "minLength": 1, "maxLength": 256}
_MODEL = {**_NAMES, "description": "provider/name, or an alias of the settings"}
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_TEXT = {"type": "string"}
_FILLED = {"type": "string", "minLength": 1}


def _item(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required.split(), "additionalProperties": False, "properties": properties}


_ITEMS = [
    _item(
        "role content",
        type={"const": "message"},
        role={"enum": ["user", "assistant", "system", "developer"]},
        content={"anyOf": [_TEXT, {"type": "array", "items": _item("type text", type={"const": "input_text"}, text=_TEXT)}]},
    ),
    _item(
        "type call_id name arguments",
        type={"const": "function_call"},
        call_id=_FILLED,
        name=_FILLED,
        arguments={"type": "string", "description": "an object, as text"},
    ),
    _item("type call_id output", type={"const": "function_call_output"}, call_id=_FILLED, output=_TEXT),
]
_FUNCTION = _item(
    "type name",
    type={"const": "function"},
    name=_FILLED,
    description={"type": ["string", "null"]},
    parameters={"type": ["object", "null"]},
    strict={"type": ["boolean", "null"]},
)
SCHEMAS: dict[str, Any] = {
    **MESSAGES_SCHEMAS,
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
            "model": _MODEL,
            "messages": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "object", "required": ["role"], "properties": {"role": {"type": "string"}}},
            },
            "tools": {"type": ["array", "null"], "items": {"type": "object"}},
            "stream": {"type": ["boolean", "null"]},
        },
    },
    "EmbeddingsRequest": {
        "type": "object",
        "description": "A request as OpenAI's API takes it. It is passed on: its server judges all fields but the model.",
        "required": ["model", "input"],
        "properties": {
            "model": _MODEL,
            "input": {**_TEXTS, "description": "a text or several; many servers take tokens as well"},
        },
    },
    "CompletionRequest": {
        "type": "object",
        "description": "A request as OpenAI's API takes it. It is passed on: its server judges all fields but the model and stream.",
        "required": ["model"],
        "properties": {"model": _MODEL, "stream": {"type": ["boolean", "null"]}},
    },
    "RerankRequest": {
        "type": "object",
        "description": "A request as Jina's API and llama.cpp take it. It is passed on: its server judges all fields but the model.",
        "required": ["model", "query", "documents"],
        "properties": {"model": _MODEL, "query": {"type": "string"}, "documents": {"type": "array", "items": {"type": "string"}}},
    },
    "Passed": {"type": "object", "description": "What the server answers."},
    "ResponsesRequest": {
        "type": "object",
        "description": "A request as OpenAI's Responses API takes it. What its server has no words for is refused by name.",
        "required": ["model", "input"],
        "properties": {
            "model": {**_NAMES, "description": "provider/name, or an alias of the settings"},
            "input": {
                "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1, "items": {"anyOf": _ITEMS}}],
                "description": "a text, or items; servers that speak this API themselves get items of any type",
            },
            "instructions": {"type": ["string", "null"]},
            "tools": {"type": ["array", "null"], "items": _FUNCTION},
            "stream": {"type": ["boolean", "null"]},
            "store": {"type": ["boolean", "null"]},
            "previous_response_id": {"type": ["string", "null"]},
        },
        "additionalProperties": False,
    },
    "Response": {
        "type": "object",
        "required": ["id", "object", "status", "output"],
        "properties": {
            "id": {"type": "string"},
            "object": {"const": "response"},
            "status": {"enum": ["completed", "incomplete", "failed", "in_progress", "queued", "cancelled"]},
            "output": {"type": "array", "items": {"type": "object", "required": ["type"]}},
        },
    },
    "ResponseForgotten": {
        "type": "object",
        "required": ["id", "object", "deleted"],
        "properties": {"id": {"type": "string"}, "object": {"const": "response"}, "deleted": {"const": True}},
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
        "anyOf": [
            {"required": ["success"], "properties": {"success": {"type": "boolean"}}},
            {"required": ["score"], "properties": {"score": {"type": "number"}}},
            {"required": ["comment"], "properties": {"comment": {"type": "string", "minLength": 1}}},
        ],
    },
    "FeedbackTaken": {
        "type": "object",
        "required": ["object", "id"],
        "properties": {"object": {"const": "feedback"}, "id": {"type": "string"}},
    },
    "Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
}


_FAULTS = {
    "400": "The request is at fault; `param` says where",
    "401": "No valid API key",
    "403": "Not allowed: by the rules or by the key, or it comes from a web page or under a foreign Host",
    "404": "There is no such thing, or this key may not see it",
    "408": "The request was not complete in time",
    "413": "The body is too large",
    "415": "The body is not sent as application/json",
    "422": "No model that may answer is sure enough",
    "429": "The model's server is busy; see Retry-After",
    "431": "The headers are too large or too many",
    "4XX": "The model's server refuses the request",
    "502": "The model's server failed, or its answer could not be used",
    "503": "Not now; see Retry-After where it is given",
    "504": "The model's server did not answer in time",
}
_ANYWHERE = ("400", "401", "403", "408", "413", "431", "503")
_ID = {"x-request-id": {"required": True, "description": "For feedback", "schema": {"type": "string"}}}
_SERVED = {
    **_ID,
    "x-selfopt-model": {"required": True, "description": "Who served", "schema": {"type": "string"}},
    "x-selfopt-phase": {"required": True, "schema": {"enum": ["atomic", "extended"]}},
    "x-selfopt-config-version": {"required": True, "description": "Of the rules", "schema": {"type": "integer"}},
    "x-selfopt-rule": {"description": "Where one was applied", "schema": {"type": "string"}},
    "x-selfopt-variant": {"description": "Where one rendered the request", "schema": {"type": "string"}},
    "x-selfopt-passed": {
        "description": "Why the request went past the rule's variant",
        "schema": {"enum": list(get_args(PassReason))},
    },
    "x-selfopt-tools-by": {
        "description": "What chose the tools that the model was shown; words where the embedding model did not answer",
        "schema": {"type": "string", "enum": ["meaning", "words"]},
    },
    "x-selfopt-kept": {"description": "Fields in whose place the variant keeps its own", "schema": {"type": "string"}},
    "x-selfopt-fallback": {"description": "Why another model served than the one asked for", "schema": {"type": "string"}},
    "x-selfopt-read": {"description": "Calls were read from text, or mended", "schema": {"enum": list(get_args(Read))}},
    "x-selfopt-unmet": {"description": "What was asked for and did not come", "schema": {"enum": list(get_args(Unmet))}},
    "x-selfopt-confidence": {
        "description": "How sure the model asked for is of its answer, rounded down",
        "schema": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "x-selfopt-escalated": {
        "description": "Why a stronger model had to answer",
        "schema": {"enum": list(get_args(EscalationReason))},
    },
    "x-selfopt-cost": {
        "description": "What it cost, where the request has x-selfopt-cost; or unknown, or later for a stream",
        "schema": {"type": "string"},
    },
    "x-selfopt-budget": {"description": "A budget of the key that is used up, and only warns", "schema": {"type": "string"}},
    "x-selfopt-cut": {"description": "Why a reply was ended early", "schema": {"enum": list(get_args(Cut))}},
}


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _responses(done: dict[str, Any], *faults: str, error: str = "Error") -> dict[str, Any]:
    """Return the responses of a path. done: content of a 200; faults: beyond those of every path; error: their schema."""
    told = {status: {"description": _FAULTS[status], "content": _json(error)} for status in sorted({*_ANYWHERE, *faults})}
    return {"200": {"description": "Done", "content": done}, **told}


def _chats(summary: str, request: str, answer: str, error: str = "Error") -> dict[str, Any]:
    """Return the path of chats in one dialect."""
    content = {**_json(answer), "text/event-stream": {}}
    responses = _responses(content, "404", "415", "422", "429", "4XX", "502", "504", error=error)
    responses["200"]["headers"] = _SERVED
    parameters = [
        _header("x-selfopt-phase", ["atomic", "extended"], "the kind of work; needs the scope phase"),
        _header("x-selfopt-variant", ["off"], "without the promoted variant; needs the scope variant"),
        _header("x-selfopt-cost", ["on"], "say what the answer cost"),
    ]
    body = {"required": True, "content": _json(request)}
    return {"post": {"summary": summary, "parameters": parameters, "requestBody": body, "responses": responses}}


def _passed(request: str, summary: str, *, streams: bool = False, answer: str = "Passed", error: str = "Error") -> dict[str, Any]:
    """Return the path of a route beside chats."""
    content = {**_json(answer), **({"text/event-stream": {}} if streams else {})}
    responses = _responses(content, "404", "415", "429", "4XX", "502", "504", error=error)
    responses["200"]["headers"] = {key: _SERVED[key] for key in ("x-request-id", "x-selfopt-model")}
    return {"post": {"summary": summary, "requestBody": {"required": True, "content": _json(request)}, "responses": responses}}


def _header(name: str, values: list[str], what: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string", "enum": values}}


_RESPONSE_ID = {"name": "id", "in": "path", "required": True, "schema": _NAMES}
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "selfopt gateway", "version": __version__},
    "security": [{}, {"key": []}],
    "paths": {
        "/v1/chat/completions": _chats("A chat, served as the rules in force say", "ChatRequest", "Completion"),
        "/v1/messages": _chats("The same in Anthropic's dialect", "MessagesRequest", "Message", "MessagesError"),
        "/v1/messages/count_tokens": _passed(
            "CountRequest",
            "How many tokens a request has, by a server that counts them",
            answer="TokenCount",
            error="MessagesError",
        ),
        "/v1/responses": _chats("The same in OpenAI's Responses API", "ResponsesRequest", "Response"),
        "/v1/responses/{id}": {
            "get": {
                "summary": "An earlier answer, where gateway.keep_responses keeps some, to the key that asked for it",
                "parameters": [_RESPONSE_ID],
                "responses": _responses(_json("Response"), "404"),
            },
            "delete": {
                "summary": "Forget an earlier answer",
                "parameters": [_RESPONSE_ID],
                "responses": _responses(_json("ResponseForgotten"), "404"),
            },
        },
        "/v1/embeddings": _passed("EmbeddingsRequest", "Vectors of texts, by the model that is named"),
        "/v1/completions": _passed("CompletionRequest", "The continuation of a text, by the model that is named", streams=True),
        "/v1/rerank": _passed("RerankRequest", "Documents by how well they answer a query, by the model that is named"),
        "/v1/feedback": {
            "post": {
                "summary": "The outcome of an earlier request; needs the scope feedback",
                "requestBody": {"required": True, "content": _json("Feedback")},
                "responses": _responses(_json("FeedbackTaken"), "404", "415"),
            }
        },
        "/v1/models": {"get": {"summary": "Models that may be asked", "responses": _responses(_json("Models"))}},
        "/v1/models/{id}": {
            "get": {
                "summary": "One model",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": _NAMES}],
                "responses": _responses(_json("Model"), "404"),
            }
        },
        "/health": {
            "get": {
                "summary": "Whether the process answers, to anybody; nothing is generated",
                "security": [{}],
                "responses": _responses(_json("Health")),
            }
        },
        "/ready": {
            "get": {
                "summary": "Whether requests are taken, to anybody; nothing is generated",
                "security": [{}],
                "responses": _responses(_json("Health")),
            }
        },
        "/metrics": {
            "get": {
                "summary": "Counters in Prometheus's text format",
                "responses": _responses({"text/plain": {"schema": {"type": "string"}}}),
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This document",
                "responses": _responses({"application/json": {"schema": {"type": "object", "required": ["openapi", "paths"]}}}),
            }
        },
    },
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}, "schemas": SCHEMAS},
}
OPENAPI_JSON = msgspec.json.encode(OPENAPI)
