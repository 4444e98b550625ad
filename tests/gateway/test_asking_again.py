"""Variants that ask more than once serve live chats as they were measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.gateway.leanings import LEANING_S, Leanings
from selfopt.records import ReplyContent
from selfopt.variants.space import composed

from .kit import Answer, gateway_world
from .servers import Said, raw_upstream, whole
from .test_harness import asking, promote
from .test_streaming import entry

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


class InTurn:
    """A server that gives its replies one after the other, and the last one from then on."""

    def __init__(self, *replies: Said) -> None:
        self.replies = list(replies)
        self.bodies: list[dict[str, Any]] = []

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        self.bodies.append(asked)
        return (self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]).answer(asked)


WHOLE, DAMAGED = ("get_weather", json.dumps({"city": "Oslo"})), ("play", '{"song": "Vals')


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("point", [{"votes": "three"}, {"more": "ask"}])
async def test_a_damaged_call_of_a_reply_that_is_not_taken_stays_out_of_sight(
    tmp_path: Path, point: dict[str, str], stream: bool
) -> None:
    """The client gets the reply that was taken, and nothing of another one."""
    server = InTurn(Said("", (WHOLE,)), Said("", (DAMAGED,)))
    async with raw_upstream(server) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        await promote(world, composed(point), "raw/m")
        answer = await world.post({**asking("weather in Oslo and in Turku?", stream=stream), "model": "raw/m"})
        assert calls_of(answer) == [("get_weather", {"city": "Oslo"})]
        assert len(server.bodies) == 2


class Beginning:
    """A server whose answer to a question is the beginning of a call, though "no" was likelier than it mostly is."""

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        if "First answer one question" not in str(asked["messages"]):
            return Said("Just talking.").answer(asked)
        token = "yes" if "N/A" in str(asked["messages"]) else "no"
        known = {"token": token, "logprob": -0.05, "bytes": None}
        call = {"id": "c1", "type": "function", "function": {"name": DAMAGED[0], "arguments": DAMAGED[1]}}
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "", "tool_calls": [call]},
            "logprobs": {"content": [{**known, "top_logprobs": [known]}]},
            "finish_reason": "length",
        }
        return whole(json.dumps({"choices": [choice]}).encode(), b"200 OK", b"Connection: close")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_damaged_call_in_answer_to_the_first_question_is_none(tmp_path: Path, stream: bool) -> None:
    """The one token of the answer may be the beginning of a call."""
    async with raw_upstream(Beginning()) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        await promote(world, composed({"decide": "even"}), "raw/m")
        answer = await world.post({**asking("how are you?", stream=stream), "model": "raw/m"})
        assert (calls_of(answer), text_of(answer)) == ([], "Just talking.")


async def test_the_question_goes_without_what_a_client_says_of_the_answer(tmp_path: Path) -> None:
    """One token without a limit, a stop or a form of the client's; the answer has them all."""
    fields: dict[str, Any] = {
        "max_completion_tokens": 50,
        "stop": ["yes"],
        "temperature": 0.9,
        "logprobs": False,
        "top_logprobs": 0,
        "reasoning_effort": "high",
        "user": "ann",
    }
    async with gateway_world(tmp_path, deciding("yes")) as world:
        await promote(world, composed({"decide": "even"}))
        answer = await world.post(asking("weather in Oslo?", **fields))
        assert calls_of(answer) == [("get_weather", {"city": "Oslo"})]
        *questions, last = [request.body or {} for request in world.upstream.journal]
        for body in questions:
            assert (body["logprobs"], body["top_logprobs"], body["max_tokens"], body["temperature"]) == (True, 10, 1, 0.0)
            assert body["user"] == "ann"
            assert not {"max_completion_tokens", "stop", "reasoning_effort"} & body.keys()
        assert (last["stop"], last["temperature"], last["reasoning_effort"]) == (["yes"], 0.9, "high")


def picking(call: float) -> dict[str, Any]:
    """A model that begins a call with this log probability, and calls what it is asked to."""
    none = {"match": {"tools": False}, "text": "Just talking."}
    leaning = {"match": {"contains": "N/A"}, **reply(OSLO), "logprob": -0.69}
    return {"writer": {"replies": [none, leaning], "default": {**reply(OSLO), "logprob": call}}}


@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_picked_is_asked_for_and_how_the_model_leans_is_asked_once(tmp_path: Path, stream: bool) -> None:
    """Of two requests with the same tools the second takes one question less; with other tools it does not."""
    async with gateway_world(tmp_path, picking(-0.01)) as world:
        await promote(world, composed({"pick": "even"}))
        for requests in (3, 5):
            answer = await world.post(asking("weather in Oslo?", stream=stream))
            assert calls_of(answer) == [("get_weather", {"city": "Oslo"})]
            assert len(world.upstream.journal) == requests
        bodies = [request.body or {} for request in world.upstream.journal]
        assert [("N/A" in str(body["messages"]), len(body["tools"])) for body in bodies] == [
            (False, 2), (True, 2), (False, 1), (False, 2), (False, 1)
        ]  # fmt: skip
        assert [(body.get("top_logprobs"), body.get("tool_choice")) for body in bodies[2:4]] == [
            (None, "required"),
            (20, "required"),
        ]
        await world.post(asking("weather in Oslo?", stream=stream, logit_bias={"1": 5}))
        assert len(world.upstream.journal) == 8, "what a client adds may sway the reply, and is remembered for itself"


@pytest.mark.parametrize("stream", [False, True])
async def test_where_no_tool_is_picked_the_client_gets_an_answer_without_one(tmp_path: Path, stream: bool) -> None:
    """The model is asked for it without tools."""
    async with gateway_world(tmp_path, picking(-3.0)) as world:
        await promote(world, composed({"pick": "even"}))
        answer = await world.post(asking("how are you?", stream=stream))
        assert text_of(answer) == "Just talking."
        assert len(world.upstream.journal) == 3


def test_how_a_model_leans_is_forgotten_in_time() -> None:
    """It may be another one then; and of too many questions the oldest goes first."""
    now = 0.0
    leanings = Leanings(lambda: now)
    content = ReplyContent(text="x")
    for number in range(300):
        leanings.add("m", str(number), content)
    assert leanings.get("m", "0") is None
    assert leanings.get("m", "299") is content
    assert leanings.get("other", "299") is None
    now = LEANING_S
    assert leanings.get("m", "299") is None


async def test_a_demanded_call_is_asked_for_without_picking(tmp_path: Path) -> None:
    """The client has decided, and all of its tools are shown."""
    async with gateway_world(tmp_path, picking(-3.0)) as world:
        await promote(world, composed({"pick": "even"}))
        answer = await world.post(asking("how are you?", tool_choice="required"))
        assert calls_of(answer) == [("get_weather", {"city": "Oslo"})]
        assert [len((request.body or {})["tools"]) for request in world.upstream.journal] == [2]
