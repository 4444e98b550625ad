"""A rule whose variant reads log probabilities serves what its evidence says, and nothing where they don't come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.gateway.observing import BLIND_S, BlindModels
from selfopt.records import Variant
from selfopt.variants.space import composed

from .kit import Answer, World, chat, gateway_world
from .servers import Said, raw_upstream, whole
from .test_harness import PLAY, WEATHER, promote
from .test_streaming import entry

SURE = Variant(name="sure", parsers=("all@2", "fit@2", "sure-3"))


def says(match: str, logprob: float | None, **reply: Any) -> dict[str, Any]:
    return {"match": {"contains": match}, "logprob": logprob, **reply}


CALL = {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}
TEXT = '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>'
MODELS: dict[str, Any] = {
    "m": {
        "replies": [
            {"match": {"tools": False}, "text": "I would rather ask."},
            says("weather, surely", -0.1, **CALL),
            says("weather, maybe", -2.0, **CALL),
            says("in text, surely", -0.1, text=TEXT),
            says("in text, maybe", -2.0, text=TEXT),
            says("blind", None, **CALL),
        ],
        "default": {"text": "Just text.", "logprob": -3.0},
    }
}


def asking(text: str, model: str = "up/m", **fields: Any) -> dict[str, Any]:
    return chat(model, messages=[{"role": "user", "content": text}], **{"tools": [WEATHER, PLAY], **fields})


def told(answer: Answer, *, stream: bool) -> tuple[list[str], str]:
    """The names of the calls, and the text."""
    if not stream:
        message = answer.body["choices"][0]["message"]
        return [call["function"]["name"] for call in message.get("tool_calls") or ()], message.get("content") or ""
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    calls = [
        call["function"]["name"] for delta in deltas for call in delta.get("tool_calls") or () if call["function"].get("name")
    ]
    return calls, "".join(delta.get("content") or "" for delta in deltas)


async def figures(world: World) -> dict[str, int]:
    """What the metrics say of this."""
    lines = (await world.get("/metrics")).text.splitlines()
    counts = {
        line.rpartition(" ")[0]: int(float(line.rpartition(" ")[2]))
        for line in lines
        if line and line[0] != "#" and "seconds" not in line
    }
    return {
        "unsure": counts["selfopt_unsure_replies_total"],
        "unobserved": counts["selfopt_unobserved_replies_total"],
        "passed": counts.get('selfopt_passed_total{reason="no_logprobs"}', 0),
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["weather", "in text"])
async def test_a_sure_call_is_served_and_an_unsure_one_is_withheld(tmp_path: Path, how: str, stream: bool) -> None:
    """Streamed or not, reported by the server or written as text. The client sees no log probabilities."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, SURE, "up/m")
        sure = await world.post(asking(f"{how}, surely", stream=stream))
        assert told(sure, stream=stream)[0] == ["get_weather"]
        unsure = await world.post(asking(f"{how}, maybe", stream=stream))
        assert told(unsure, stream=stream) == ([], "I would rather ask.")
        text = await world.post(asking("anything", stream=stream))
        assert told(text, stream=stream) == ([], "Just text.")
        for answer in (sure, unsure, text):
            assert answer.headers["x-selfopt-variant"] == "sure"
            assert "x-selfopt-passed" not in answer.headers
            assert '"top_logprobs"' not in answer.text
            assert "-0.1" not in answer.text
        assert await figures(world) == {"unsure": 1, "unobserved": 0, "passed": 0}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_demanded_call_is_not_withheld(tmp_path: Path, stream: bool) -> None:
    """The threshold was measured where the model might have called nothing. Nor is the request refused for want of it."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, SURE, "up/m")
        for text in ("weather, maybe", "in text, maybe", "blind"):
            answer = await world.post(asking(text, stream=stream, tool_choice="required"))
            assert told(answer, stream=stream)[0] == ["get_weather"]
            assert answer.headers["x-selfopt-variant"] == "sure"
        assert [(turn.body or {}).get("logprobs") for turn in world.upstream.journal] == [None] * 3
        assert await figures(world) == {"unsure": 0, "unobserved": 0, "passed": 0}


async def test_only_a_rule_that_reads_them_asks_for_them(tmp_path: Path) -> None:
    """Neither other variants nor the plain answer after a withheld call do."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, Variant(name="plain", parsers=("all@2",)), "up/m")
        await world.post(asking("weather, surely"))
        assert [turn.body.get("logprobs") for turn in world.upstream.journal if turn.body] == [None]
        await promote(world, SURE, "up/m")
        await world.post(asking("weather, maybe", logprobs=False, max_tokens=20_000))
        asked = [
            (turn.body.get("logprobs"), turn.body.get("top_logprobs")) for turn in list(world.upstream.journal)[1:] if turn.body
        ]
        assert asked[0] == (True, 1)
        assert asked[1][0] in (None, False)
        assert (world.upstream.journal[1].body or {})["max_tokens"] == 8192


async def test_thinking_leaves_the_answer_what_a_reply_with_them_may_have(tmp_path: Path) -> None:
    """A client's large limit makes no reply too long to be observed, and nobody's next request suffers for it."""
    async with gateway_world(tmp_path, MODELS) as world:
        thinking = SURE.sampling.model_copy(update={"thinking_tokens": 1024})
        await promote(world, SURE.model_copy(update={"sampling": thinking}), "up/m")
        for limit in (500, 8192, 500):
            answer = await world.post(asking("weather, surely", max_tokens=limit))
            assert "x-selfopt-passed" not in answer.headers
        assert [(turn.body or {}).get("logprobs") for turn in world.upstream.journal] == [True] * 3


async def test_a_client_that_wants_them_itself_goes_past_the_variant_as_before(tmp_path: Path) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, SURE, "up/m")
        answer = await world.post(asking("weather, maybe", logprobs=True))
        assert answer.headers["x-selfopt-passed"] == "logprobs"
        assert answer.body["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize("stream", [False, True])
async def test_without_them_the_request_goes_past_the_variant(tmp_path: Path, stream: bool) -> None:
    """The rule's evidence says nothing about such a reply, so the client gets what it would without a variant."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, SURE, "up/m")
        first = await world.post(asking("blind", stream=stream))
        assert told(first, stream=stream)[0] == ["get_weather"]
        assert len(world.upstream.journal) == 2
        second = await world.post(asking("blind", stream=stream))
        assert told(second, stream=stream)[0] == ["get_weather"]
        assert len(world.upstream.journal) == 3, "the model is not asked in vain again at once"
        assert second.headers["x-selfopt-passed"] == "no_logprobs"
        assert "x-selfopt-variant" not in second.headers
        if not stream:
            assert first.headers["x-selfopt-passed"] == "no_logprobs"
        assert await figures(world) == {"unsure": 0, "unobserved": 2, "passed": 2}


@pytest.mark.parametrize("stream", [False, True])
async def test_without_them_a_fallback_that_was_measured_answers(tmp_path: Path, stream: bool) -> None:
    """It is what the rules trust where this model is not known to do."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, SURE, "up/m", fallback="up/other")
        await promote_other(world)
        for _ in range(2):
            answer = await world.post(asking("blind", stream=stream))
            assert answer.headers["x-selfopt-model"] == "up/other"
            assert told(answer, stream=stream)[1] == "I am the other."
        sure = await world.post(asking("weather, surely", stream=stream))
        assert sure.headers["x-selfopt-model"] == "up/other", "until the minute is over"
        assert (await figures(world))["unobserved"] == 3


DECIDES = composed({"decide": "even"})
UNDECIDED: dict[str, Any] = {
    "m": {"replies": [{"match": {"contains": "First answer one question"}, "text": "no"}], "default": CALL},
}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_variant_that_decides_by_them_promises_nothing_without(tmp_path: Path, stream: bool) -> None:
    """As one with a threshold: the request goes past it, the model is not asked in vain again, and both are counted."""
    async with gateway_world(tmp_path, UNDECIDED) as world:
        await promote(world, DECIDES, "up/m")
        for requests in (2, 3):
            answer = await world.post(asking("weather", stream=stream))
            assert told(answer, stream=stream)[0] == ["get_weather"]
            assert len(world.upstream.journal) == requests
        assert answer.headers["x-selfopt-passed"] == "no_logprobs"
        assert await figures(world) == {"unsure": 0, "unobserved": 2, "passed": 2}
        demanded = await world.post(asking("weather", stream=stream, tool_choice="required"))
        assert demanded.headers["x-selfopt-variant"] == DECIDES.name, "nothing is decided there"


async def test_a_fallback_answers_for_a_variant_that_cannot_decide(tmp_path: Path) -> None:
    """Where the server gives none, and where the settings leave them out."""
    async with gateway_world(tmp_path, UNDECIDED) as world:
        await promote(world, DECIDES, "up/m", fallback="up/other")
        await promote_other(world)
        assert (await world.post(asking("weather"))).headers["x-selfopt-model"] == "up/other"
        asked = len(world.upstream.journal)
        world.app.settings.endpoints["up"] = world.app.settings.endpoints["up"].model_copy(update={"omit": ("logprobs",)})
        await promote(world, DECIDES, "up/m")
        answer = await world.post(asking("weather"))
        assert answer.headers["x-selfopt-passed"] == "no_logprobs"
        assert len(world.upstream.journal) == asked + 1


async def promote_other(world: World) -> None:
    """Allow the fallback beside the rule that is in force."""
    for phase in ("atomic", "extended"):
        world.enforcer.set_rule("up/other", phase, allow=True)
    await world.reload()


async def test_where_the_settings_leave_them_out_the_model_is_not_asked(tmp_path: Path) -> None:
    """`omit = ["logprobs"]`: they can't come."""
    async with gateway_world(tmp_path, MODELS) as world:
        world.app.settings.endpoints["up"] = world.app.settings.endpoints["up"].model_copy(update={"omit": ("logprobs",)})
        await promote(world, SURE, "up/m")
        answer = await world.post(asking("weather, maybe"))
        assert answer.headers["x-selfopt-passed"] == "no_logprobs"
        assert told(answer, stream=False)[0] == ["get_weather"]
        assert len(world.upstream.journal) == 1


async def test_a_server_that_refuses_the_question_is_asked_without_and_the_refusal_is_learnt(tmp_path: Path) -> None:
    """No request fails for it."""
    server = Refusing()
    async with raw_upstream(server) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        await promote(world, SURE, "raw/m")
        for _ in range(2):
            got = await world.post(asking("weather", "raw/m"))
            assert (got.status, told(got, stream=False)[0]) == (200, ["get_weather"])
            assert got.headers["x-selfopt-passed"] == "no_logprobs"
    assert server.refused == 1


class Refusing:
    """A server that refuses whatever names log probabilities, and else calls a tool."""

    def __init__(self) -> None:
        self.refused = 0

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        if "logprobs" in asked:
            self.refused += 1
            return whole(b'{"error": {"message": "logprobs are not supported"}}', b"400 Bad Request", b"Connection: close")
        return Said("", (("get_weather", '{"city": "Oslo"}'),)).answer(asked)


def test_a_blind_model_is_asked_again_after_a_minute() -> None:
    """A server may be started anew with them."""
    now = [0.0]
    blind = BlindModels(lambda: now[0])
    blind.add("m")
    assert ("m" in blind, "n" in blind) == (True, False)
    now[0] = BLIND_S
    assert "m" not in blind
