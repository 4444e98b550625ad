"""What is sent for a request is, to the byte, what was sent before there was a room for dialects: evidence goes on to count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.dialects.jsontext import dump_json
from selfopt.dialects.kinds import ENDPOINT_KINDS
from selfopt.records import ChatRequest, EndpointConfig, ServerKind, sha256_hex

BEFORE: dict[str, str] = json.loads(Path(__file__).with_name("requests_before.json").read_text("utf-8"))
"""The sha256 of each body, as the code before wrote it."""
SERVERS = {
    "llama": ("openai_compatible", "http://127.0.0.1:8080"),
    "openai": ("openai_compatible", "https://api.openai.com/v1"),
    "ollama": ("ollama", "http://127.0.0.1:11434"),
    "anthropic": ("anthropic", "https://api.anthropic.com"),
}
USER = {"role": "user", "content": "Wie ist das Wetter in Zürich?"}
TOOL = {
    "name": "get_weather",
    "description": "Weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
TALK = [
    {"role": "system", "content": "Be brief."},
    USER,
    {"role": "assistant", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Zürich", "days": 2.0}}]},
    {"role": "tool", "content": "rain"},
    {"role": "user", "content": ""},
]
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"messages": [USER]},
    "tools": {"messages": [USER], "tools": [TOOL], "tool_choice": "required", "isolate": True},
    "none": {"messages": [USER], "tools": [TOOL], "tool_choice": "none"},
    "talk": {"messages": TALK, "tools": [TOOL], "context_size": 4096, "keep_alive_s": 1.5},
    "sampled": {"messages": [USER], "sampling": {"temperature": 0.7, "top_p": 0.9, "seed": None, "thinking_tokens": 300}},
    "schema": {"messages": [USER], "constraint": {"kind": "json_schema", "json_schema": {"type": "object"}}},
}
MODELS = ("m", "claude-haiku-4-5", "claude-opus-4-8", "claude-sonnet-5")


def cases() -> dict[str, tuple[str, ChatRequest, bool]]:
    """Every request to every server, whole and streamed."""
    return {
        f"{server} {model} {name} {'streamed' if streamed else 'whole'}": (
            server,
            ChatRequest.model_validate({"model": model, **fields}),
            streamed,
        )
        for server in SERVERS
        for model in MODELS
        for name, fields in REQUESTS.items()
        for streamed in (False, True)
    }


@pytest.mark.parametrize("server", SERVERS)
def test_the_bytes_of_requests_stay_what_they_were(server: str) -> None:
    """Every dialect, with and without tools, sampling, limits on output."""
    kind, url = SERVERS[server]
    known = ENDPOINT_KINDS.get(kind)
    assert known is not None
    program: ServerKind | None = "llama.cpp" if server == "llama" else None
    dialect = known.dialect(EndpointConfig(name="e", kind=kind, base_url=url, server=program))
    written = {
        name: sha256_hex(dump_json(dialect.write_request(request, streamed=streamed)).decode())
        for name, (where, request, streamed) in cases().items()
        if where == server
    }
    assert written == {name: digest for name, digest in BEFORE.items() if name.partition(" ")[0] == server}
