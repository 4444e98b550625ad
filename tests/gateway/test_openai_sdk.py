"""Clients of OpenAI's chats: the official SDK, against servers of each dialect, with and without a variant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from .kit import World, gateway_world
from .test_harness import WEATHER, promote
from .test_messages import EVERYWHERE, MODELS, SERVERS, STREAMED


async def told(world: World, *, stream: bool, **asked: Any) -> Any:
    """The message that the official client makes of an answer, and why it ended."""
    fields: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], **asked}
    async with openai.AsyncOpenAI(base_url=world.url, api_key="none", max_retries=0) as client:
        if not stream:
            return (await client.chat.completions.create(**fields)).choices[0]
        async with client.chat.completions.stream(**fields) as events:
            async for _ in events:
                pass
            return (await events.get_final_completion()).choices[0]


@STREAMED
@EVERYWHERE
async def test_a_text_comes_from_servers_of_every_dialect(tmp_path: Path, endpoint: str, stream: bool) -> None:
    """With the reason why it ended."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        choice = await told(world, stream=stream, model=f"{endpoint}/writer")
        assert (choice.message.content, choice.finish_reason) == ("Just text.", "stop")


@STREAMED
@EVERYWHERE
@pytest.mark.parametrize("variant", [None, "native_parsed"])
@pytest.mark.parametrize("model", ["writer", "caller"])
async def test_a_tool_is_called(tmp_path: Path, endpoint: str, stream: bool, model: str, variant: str | None) -> None:
    """Whether the model writes the call as text or the server reports it, and with its result it answers."""
    async with gateway_world(tmp_path, MODELS, settings=SERVERS) as world:
        if variant is not None:
            await promote(world, variant, model=f"{endpoint}/{model}")
        asked: dict[str, Any] = {"model": f"{endpoint}/{model}", "tools": [WEATHER], "stream": stream}
        question = {"role": "user", "content": "weather?"}
        choice = await told(world, **asked, messages=[question])
        (call,) = choice.message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Oslo"})
        assert choice.finish_reason == "tool_calls"
        assert world.records[-1].variant == variant
        said = {"role": "assistant", "content": choice.message.content, "tool_calls": [call.model_dump()]}
        turns = [
            question,
            said,
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
            {"role": "user", "content": "and?"},
        ]
        answered = await told(world, **asked, messages=turns)
        assert (answered.message.tool_calls or [], answered.finish_reason) == ([], "stop")
        assert answered.message.content
