"""Variants that ask more than once serve live chats as they were measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.variants.space import composed

from .kit import Answer, gateway_world
from .test_harness import asking, promote

OSLO = {"name": "get_weather", "arguments": {"city": "Oslo"}}
TURKU = {"name": "get_weather", "arguments": {"city": "Turku"}}


def reply(call: dict[str, Any]) -> dict[str, Any]:
    return {"text": json.dumps(call)}


def deltas_of(answer: Answer) -> list[dict[str, Any]]:
    """The pieces of a streamed answer."""
    chunks = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def text_of(answer: Answer) -> str:
    """The text of an answer, whole or streamed."""
    if not answer.text.startswith("data:"):
        return str(answer.body["choices"][0]["message"]["content"])
    return "".join(delta.get("content") or "" for delta in deltas_of(answer))


def calls_of(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    """The calls of an answer, whole or streamed."""
    if not answer.text.startswith("data:"):
        calls = answer.body["choices"][0]["message"].get("tool_calls") or ()
        return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    found: dict[int, list[str]] = {}
    for delta in deltas_of(answer):
        for call in delta.get("tool_calls") or ():
            name, arguments = found.setdefault(call["index"], ["", ""])
            function = call["function"]
            found[call["index"]] = [name + (function.get("name") or ""), arguments + (function.get("arguments") or "")]
    return [(name, json.loads(arguments)) for name, arguments in found.values()]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_gets_the_calls_of_both_requests(tmp_path: Path, stream: bool) -> None:
    """The model writes one of two calls and stops; asked for the rest it writes the other, and the first again."""
    more = {"match": {"contains": "This call is made already"}, "text": json.dumps([OSLO, TURKU])}
    models = {"writer": {"replies": [more], "default": reply(OSLO)}}
    async with gateway_world(tmp_path, models) as world:
        await promote(world, composed({"more": "ask"}))
        answer = await world.post(asking("weather in Oslo and in Turku?", stream=stream))
        assert calls_of(answer) == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Turku"})]
        assert len(world.upstream.journal) == 2
        single = await world.post(asking("weather in Oslo?", stream=stream))
        assert calls_of(single) == [("get_weather", {"city": "Oslo"})]
        assert len(world.upstream.journal) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_gets_the_corrected_call_and_never_the_first(tmp_path: Path, stream: bool) -> None:
    """The first call lacks what the user said."""
    retry = {"match": {"contains": "lacks the required city"}, **reply(OSLO)}
    models = {"writer": {"replies": [retry], "default": reply({"name": "get_weather", "arguments": {}})}}
    async with gateway_world(tmp_path, models) as world:
        await promote(world, composed({"retry": "once"}))
        answer = await world.post(asking("weather in Oslo?", stream=stream))
        assert calls_of(answer) == [("get_weather", {"city": "Oslo"})]
        assert len(world.upstream.journal) == 2


async def test_a_client_that_wants_json_gets_the_models_own_words(tmp_path: Path) -> None:
    """What looks like a wrong call in it is none, and nobody asks about it."""
    models = {"writer": {"default": reply({"name": "get_weather", "arguments": {}})}}
    async with gateway_world(tmp_path, models) as world:
        await promote(world, composed({"retry": "once", "more": "ask"}))
        answer = await world.post(asking("an example, and only JSON", response_format={"type": "json_object"}))
        assert json.loads(answer.body["choices"][0]["message"]["content"]) == {"name": "get_weather", "arguments": {}}
        assert len(world.upstream.journal) == 1


def deciding(word: str) -> dict[str, Any]:
    """A model that leans to neither, says this word of what is asked, and calls whenever it is asked to answer."""
    question = "First answer one question"
    return {
        "writer": {
            "replies": [
                {"match": {"contains": [question, "N/A"]}, "text": "yes", "logprob": -0.69},
                {"match": {"contains": question}, "text": word, "logprob": -0.05},
                {"match": {"tools": False}, "text": "Just talking."},
            ],
            "default": reply(OSLO),
        }
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("tools", ["native", "signatures"])
async def test_where_no_call_is_needed_the_client_gets_an_answer_without_one(tmp_path: Path, stream: bool, tools: str) -> None:
    """The model is asked for it without tools; both questions took one token."""
    async with gateway_world(tmp_path, deciding("no")) as world:
        await promote(world, composed({"tools": tools, "decide": "even"}))
        answer = await world.post(asking("how are you?", stream=stream, max_tokens=50))
        assert text_of(answer) == "Just talking."
        assert "get_weather" not in answer.text
        bodies = [request.body or {} for request in world.upstream.journal]
        assert [body.get("logprobs") for body in bodies] == [True, True, None]
        assert [body["max_tokens"] for body in bodies][:2] == [1, 1]
        assert len(bodies[0].get("tools", [])) == (2 if tools == "native" else 0)


@pytest.mark.parametrize("stream", [False, True])
async def test_where_a_call_is_needed_the_request_follows_as_it_is(tmp_path: Path, stream: bool) -> None:
    """Streamed or whole, with the call."""
    async with gateway_world(tmp_path, deciding("yes")) as world:
        await promote(world, composed({"decide": "even"}))
        answer = await world.post(asking("weather in Oslo?", stream=stream))
        assert calls_of(answer) == [("get_weather", {"city": "Oslo"})]
        assert [(request.body or {}).get("logprobs") for request in world.upstream.journal] == [True, True, None]
        assert "First answer" not in str(world.upstream.journal[-1].body)
