"""Clients of OpenAI's Responses API, asked with its own SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openai
import pydantic
import pytest

from .kit import World, gateway_world
from .test_harness import MODELS, promote

TOOLS: list[Any] = [
    {
        "type": "function",
        "name": name,
        "description": "",
        "parameters": {"type": "object", "properties": {key: {"type": "string"}}},
        "strict": False,
    }
    for name, key in (("get_weather", "city"), ("play", "title"))
]


def client(world: World, key: str = "none") -> openai.AsyncOpenAI:
    """OpenAI's own client."""
    return openai.AsyncOpenAI(base_url=world.url, api_key=key, max_retries=0)


class City(pydantic.BaseModel):
    """What the model is to fill in."""

    city: str


@pytest.mark.parametrize("variant", ["native_parsed", None])
async def test_the_sdk_reads_text_and_parallel_calls_whole_and_streamed(tmp_path: Path, variant: str | None) -> None:
    """The same items come both ways."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, variant)
        async with client(world) as sdk:
            for text, calls in (("hi", []), ("both", ["get_weather", "play"])):
                whole = await sdk.responses.create(model="up/writer", input=text, tools=TOOLS, instructions="Be brief.")
                assert whole.status == "completed"
                assert [item.name for item in whole.output if item.type == "function_call"] == calls
                assert bool(whole.output_text) is not bool(calls)
                async with sdk.responses.stream(model="up/writer", input=text, tools=TOOLS) as stream:
                    events = [event async for event in stream]
                    final = await stream.get_final_response()
                assert [event.sequence_number for event in events] == list(range(len(events)))
                assert final.output_text == whole.output_text
                assert [item.name for item in final.output if item.type == "function_call"] == calls
                assert whole.usage is not None
                assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
