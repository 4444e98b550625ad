"""Clients of Anthropic's Messages: the official SDK, against servers of each dialect, with and without a variant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest

from .kit import World, gateway_world
from .test_harness import CALL, promote

SERVERS = """
[endpoints.claude]
kind = "anthropic"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
local = true
[endpoints.lama]
kind = "ollama"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
local = true
[endpoints.both]
kind = "openai_compatible"
base_url = "{upstream}"
api_key = "sk-upstream-0123456789"
local = true
also = ["anthropic"]
"""
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
NATIVE = [{"name": "get_weather", "arguments": {"city": "Oslo"}}]
MODELS: dict[str, Any] = {
    "writer": {"replies": [{"match": {"contains": "weather"}, "text": CALL}], "default": {"text": "Just text."}},
    "caller": {
        "replies": [{"match": {"contains": "weather"}, "text": "Let me see.", "tool_calls": NATIVE}],
        "default": {"text": "Hm."},
    },
    "thinker": {"default": {"text": "Forty-two.", "thinking": "Six times seven."}},
    "ill": {"default": {"fault": {"kind": "status", "status": 500}}},
}
EVERYWHERE = pytest.mark.parametrize("endpoint", ["up", "claude", "lama", "both"])
STREAMED = pytest.mark.parametrize("stream", [False, True])


def client(world: World, **more: Any) -> anthropic.AsyncAnthropic:
    """The official client."""
    return anthropic.AsyncAnthropic(base_url=world.url.removesuffix("/v1"), api_key="none", max_retries=0, **more)


async def told(world: World, *, stream: bool, **asked: Any) -> anthropic.types.Message:
    """The message that the official client makes of an answer."""
    fields: dict[str, Any] = {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **asked}
    async with client(world) as own:
        if not stream:
            message: anthropic.types.Message = await own.messages.create(**fields)
            return message
        async with own.messages.stream(**fields) as events:
            return await events.get_final_message()


@STREAMED
@EVERYWHERE
async def test_a_text_comes_from_servers_of_every_dialect(tmp_path: Path, endpoint: str, stream: bool) -> None:
    """With the stop reason and the token counts, which the record has too."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        message = await told(world, stream=stream, model=f"{endpoint}/writer", system="Be brief.")
        assert [block.model_dump(include={"type", "text"}) for block in message.content] == [
            {"type": "text", "text": "Just text."}
        ]
        assert (message.stop_reason, message.role) == ("end_turn", "assistant")
        assert message.usage.output_tokens > 0
        record = world.records[-1]
        assert (record.status, record.output_tokens) == (200, message.usage.output_tokens)
        assert record.input_tokens == message.usage.input_tokens > 0
        assert "Be brief." in json.dumps(world.upstream.journal[-1].body)


@STREAMED
@EVERYWHERE
@pytest.mark.parametrize("model", ["writer", "caller"])
async def test_a_tool_is_called_through_a_variant(tmp_path: Path, endpoint: str, stream: bool, model: str) -> None:
    """Whether the model writes the call as text or the server reports it."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        await promote(world, "native_parsed", model=f"{endpoint}/{model}")
        asked: dict[str, Any] = {"messages": [{"role": "user", "content": "weather?"}], "tools": [WEATHER]}
        message = await told(world, stream=stream, model=f"{endpoint}/{model}", **asked)
        (call,) = [block for block in message.content if block.type == "tool_use"]
        assert (call.name, call.input, message.stop_reason) == ("get_weather", {"city": "Oslo"}, "tool_use")
        assert world.records[-1].variant == "native_parsed"
