"""Scripts and requests that the tests of endpoints share."""

from __future__ import annotations

from typing import Any

from selfopt.records import ChatRequest, EndpointConfig, Message, ToolDefinition, is_loopback
from selfopt.scripted.script import Script

KEY = "sk-test-0123456789"

WEATHER = ToolDefinition(
    name="get_weather",
    description="Weather of a city",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)

FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"kind": "hang"},
    "close": {"kind": "close"},
    "garbage": {"kind": "garbage"},
    "truncated": {"kind": "truncated"},
    "deep": {"kind": "deep"},
    "huge": {"kind": "huge"},
    "invalid_utf8": {"kind": "invalid_utf8"},
    "html": {"kind": "html"},
    "status500": {"kind": "status", "status": 500},
    "status429": {"kind": "status", "status": 429, "retry_after": "7"},
    "status403": {"kind": "status", "status": 403},
    "status400": {"kind": "status", "status": 400, "body": "bad \x1b[31mred"},
    "status302": {"kind": "status", "status": 302},
    "status503": {"kind": "status", "status": 503, "body": "Loading model"},
    "echo": {"kind": "status", "status": 401, "body": f"wrong key {KEY}"},
}


def contract_script() -> Script:
    """A model `m` that does what the last user message names, and `cold`, which takes an hour to load."""
    rules: list[dict[str, Any]] = [
        {"match": {"regex": f"^{name}$"}, "text": "late", "fault": fault} for name, fault in FAULTS.items()
    ]
    rules += [
        {"match": {"contains": "after the tool", "after_tool_result": True}, "text": "It rains."},
        {"match": {"contains": "weather", "tools": True}, "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        {
            "match": {"contains": "twice"},
            "tool_calls": [{"name": "get_weather", "arguments": {"city": c}} for c in ("Rome", "Bern")],
        },
        {"match": {"contains": "broken"}, "tool_calls": [{"name": "get_weather", "arguments": "city is Oslo"}]},
        {"match": {"contains": "think"}, "thinking": "Let me see.", "text": "Four."},
        {"match": {"contains": "long"}, "text": "and so on and", "finish_reason": "length"},
        {"match": {"contains": "unicode"}, "text": "Zürich, 東京, \x1b[2J 🙂"},
        {"match": {"contains": "slowly"}, "text": "abc", "fault": {"kind": "slow", "chunk_bytes": 64, "chunk_ms": 1}},
    ]
    return Script.model_validate(
        {
            "api_key": KEY,
            "models": {
                "m": {
                    "replies": rules,
                    "default": {"text": "Hello."},
                    "context_size": 2048,
                    "digest": "sha256:1",
                    "template": "t",
                },
                "cold": {"load_ms": 3_600_000},
                "refusing": {"load_ms": 3_600_000, "while_loading": "refuse"},
            },
        }
    )


def ask(text: str, **changes: Any) -> ChatRequest:
    """A request with one user message."""
    fields: dict[str, Any] = {"model": "m", "messages": (Message(role="user", content=text),), "timeout_s": 120.0, **changes}
    return ChatRequest.model_validate(fields)


def config_for(kind: str, base_url: str | None = None, key: str | None = KEY, **changes: Any) -> EndpointConfig:
    """A configuration of an endpoint called `e`. A server of this machine counts as llama.cpp, and is not asked what it is."""
    here = kind == "openai_compatible" and base_url is not None and is_loopback(base_url)
    known = {"server": "llama.cpp"} if here else {}
    return EndpointConfig.model_validate({"name": "e", "kind": kind, "base_url": base_url, "api_key": key, **known, **changes})
