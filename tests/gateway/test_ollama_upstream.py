"""What clients of OpenAI's API ask of Ollama's models reaches them, and what they answer comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted

from .kit import Answer, World, chat, gateway_world
from .servers import raw_upstream, whole
from .test_harness import WEATHER, promote

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
PICTURE = "iVBORw0KGgo="
MODELS: dict[str, Any] = {
    "sure": {"default": {"text": "Hello there.", "logprob": -0.25}},
    "thinks": {"default": {"text": "Hello there.", "thinking": "Let me see.", "logprob": -0.25}},
    "old": {"default": {"text": "Hello there."}},
    "long": {"default": {"text": "Hello", "finish_reason": "length"}},
    "calls": {"default": {"text": "", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}},
}
ENTRY = '[endpoints.oll]\nkind = "ollama"\nbase_url = "{}"\nlocal = true\n'


@asynccontextmanager
async def before_ollama(tmp_path: Path) -> AsyncIterator[tuple[World, ScriptedServer]]:
    """A gateway in front of a scripted Ollama."""
    server = await serve_scripted(Script.model_validate({"models": MODELS}))
    try:
        async with gateway_world(tmp_path, settings=ENTRY.format(server.base_url)) as world:
            yield world, server
    finally:
        await server.close()


async def sent(tmp_path: Path, **fields: Any) -> dict[str, Any]:
    """What reaches Ollama of a chat with these fields."""
    async with before_ollama(tmp_path) as (world, server):
        answer = await world.post(chat("oll/old", **fields))
        assert answer.status == 200, answer.text
        assert server.journal[-1].dialect == "ollama"
        return server.journal[-1].body or {}


@pytest.mark.parametrize(
    ("fields", "there"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}, {"format": SCHEMA}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        ({"format": SCHEMA}, {"format": SCHEMA}),
        ({"reasoning_effort": "low"}, {"think": "low"}),
        ({"reasoning_effort": "minimal"}, {"think": "low"}),
        ({"reasoning_effort": "xhigh"}, {"think": "high"}),
        ({"reasoning_effort": "none"}, {"think": False}),
        ({"reasoning": {"effort": "max"}}, {"think": "high"}),
        ({"reasoning": {"enabled": True}}, {"think": True}),
        ({"think": "medium"}, {"think": "medium"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, {"think": True}),
        ({"stop": "END"}, {"options": {"stop": ["END"]}}),
        ({"stop": ["A", "B"], "temperature": 0.7, "seed": 3}, {"options": {"stop": ["A", "B"], "temperature": 0.7, "seed": 3}}),
        ({"max_tokens": 9, "options": {"num_ctx": 8192}}, {"options": {"num_predict": 9, "num_ctx": 8192}}),
        ({"keep_alive": "10m"}, {"keep_alive": "10m"}),
        ({"keep_alive": -1}, {"keep_alive": -1}),
        ({"logprobs": True, "top_logprobs": 4}, {"logprobs": True, "top_logprobs": 4}),
    ],
)
async def test_a_field_reaches_ollama_in_its_own_words(tmp_path: Path, fields: dict[str, Any], there: dict[str, Any]) -> None:
    """Nothing of it is left out, and nothing is asked that the client did not ask."""
    body = await sent(tmp_path, **fields)
    body.setdefault("options", {})
    assert {key: value for key, value in body.items() if key not in ("model", "messages", "stream")} == {"options": {}, **there}


async def test_pictures_and_results_of_tools_reach_ollama(tmp_path: Path) -> None:
    """A picture as base64, a result with the name of its tool, and thinking of earlier turns."""
    parts = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}]
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    body = await sent(tmp_path, messages=messages, tools=[WEATHER])
    assert body["messages"] == [
        {"role": "user", "content": "See", "images": [PICTURE]},
        {
            "role": "assistant",
            "content": "",
            "thinking": "Hm.",
            "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}],
        },
        {"role": "tool", "content": "rain", "tool_name": "get_weather"},
    ]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "finish", "said"),
    [("old", "stop", {}), ("long", "length", {}), ("calls", "tool_calls", {}), ("thinks", "stop", {"thought": "Let me see."})],
)
async def test_an_answer_comes_back_with_its_thinking_and_why_it_ended(
    tmp_path: Path, model: str, finish: str, said: dict[str, str], stream: bool
) -> None:
    """Whole and streamed."""
    async with before_ollama(tmp_path) as (world, _):
        answer = await world.post(chat(f"oll/{model}", stream=stream, tools=[WEATHER]))
        thought, ended = told(answer, stream=stream)
        assert (thought, ended) == (said.get("thought", ""), finish)


def told(answer: Answer, *, stream: bool) -> tuple[str, str]:
    """The thinking of an answer, and why it ended."""
    if not stream:
        (choice,) = answer.body["choices"]
        return choice["message"].get("reasoning_content", ""), choice["finish_reason"]
    choices = [json.loads(line[6:])["choices"][0] for line in answer.text.split("\n\n") if line.startswith("data: {")]
    return "".join(c["delta"].get("reasoning_content", "") for c in choices), choices[-1]["finish_reason"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["sure", "thinks"])
async def test_log_probabilities_come_back_as_openais_clients_read_them(tmp_path: Path, model: str, stream: bool) -> None:
    """Of the answer alone, not of the thinking before it."""
    async with before_ollama(tmp_path) as (world, _), openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
        asked: Any = {
            "model": f"oll/{model}",
            "messages": [{"role": "user", "content": "hi"}],
            "logprobs": True,
            "top_logprobs": 1,
        }
        if stream:
            choices = [part.choices[0] async for part in await client.chat.completions.create(**asked, stream=True)]
            found = [entry for choice in choices if choice.logprobs for entry in choice.logprobs.content or ()]
        else:
            answer = await client.chat.completions.with_raw_response.create(**asked)
            assert "x-selfopt-unmet" not in answer.headers
            logprobs = answer.parse().choices[0].logprobs
            assert logprobs is not None
            found = logprobs.content or []
        tokens = "".join(entry.token for entry in found)
        assert tokens.endswith("Hello there.")
        assert len(tokens) < len("Hello there.") + 4  # a token may hold the end of the thinking as well
        assert {entry.logprob for entry in found} == {-0.25}
        assert found[-2].top_logprobs[0].token == found[-2].token
        assert bytes(found[-2].bytes or ()) == found[-2].token.encode()


async def test_a_client_that_did_not_ask_gets_no_log_probabilities(tmp_path: Path) -> None:
    """Whatever the server sends."""
    async with before_ollama(tmp_path) as (world, _):
        for fields in ({}, {"logprobs": False}, {"logprobs": None}):
            answer = await world.post(chat("oll/sure", **fields))
            assert answer.body["choices"][0]["logprobs"] is None


async def test_a_server_that_ignores_the_question_is_found_out(tmp_path: Path) -> None:
    """Ollama before 0.12.11. The header says so, of streams from the second one on."""
    async with before_ollama(tmp_path) as (world, _):
        streamed = chat("oll/old", logprobs=True, stream=True)
        assert "x-selfopt-unmet" not in (await world.post(streamed)).headers
        assert (await world.post(streamed)).headers["x-selfopt-unmet"] == "logprobs"
        whole_answer = await world.post(chat("oll/old", logprobs=True))
        assert whole_answer.headers["x-selfopt-unmet"] == "logprobs"
        assert whole_answer.body["choices"][0]["logprobs"] is None
        assert "x-selfopt-unmet" not in (await world.post(chat("oll/old"))).headers


async def test_behind_a_variant_a_chat_with_log_probabilities_goes_past_it(tmp_path: Path) -> None:
    """A reply that is read anew has none."""
    async with before_ollama(tmp_path) as (world, _):
        await promote(world, "native_parsed", "oll/sure")
        answer = await world.post(chat("oll/sure", tools=[WEATHER], logprobs=True))
        assert answer.headers["x-selfopt-passed"] == "logprobs"
        assert answer.body["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize(
    ("field", "value"), [("n", 2), ("logit_bias", {"5": -100}), ("grammar", "root ::= x"), ("modalities", ["text", "audio"])]
)
async def test_what_ollama_has_no_words_for_is_refused_by_its_name(tmp_path: Path, field: str, value: Any) -> None:
    """Before anything is sent."""
    async with before_ollama(tmp_path) as (world, server):
        answer = await world.post(chat("oll/old", **{field: value}))
        assert answer.status == 400
        assert repr(field) in answer.error["message"]
        assert list(server.journal) == []


@pytest.mark.parametrize("entries", [7, "x", [{}], [{"token": "x"}], [{"token": 1, "logprob": 0.0}], [None], {"content": []}])
async def test_log_probabilities_of_no_known_form_are_none(tmp_path: Path, entries: Any) -> None:
    """The answer comes all the same."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = {"role": "assistant", "content": "Hi."}
        body = {"model": "m", "message": message, "done": True, "done_reason": "stop", "logprobs": entries}
        writer.write(whole(json.dumps(body).encode(), b"200 OK", b"Connection: close"))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=ENTRY.format(url)) as world:
        answer = await world.post(chat("oll/m", logprobs=True))
        assert answer.status == 200
        assert answer.body["choices"][0]["message"]["content"] == "Hi."
        assert answer.headers["x-selfopt-unmet"] == "logprobs"
