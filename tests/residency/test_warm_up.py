"""Warm-up: what it asks for, how long it waits, and that it never raises."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from selfopt.errors import EndpointError, EngineError
from selfopt.records import ChatChunk, ChatReply, ChatRequest, LoadEvidence, ModelStatus, ReplyContent, WarmUp
from selfopt.residency import WARM_UP_PROMPT, ensure_resident, warm_up
from selfopt.scripted.endpoint import ScriptedEndpoint, ScriptedResidency
from selfopt.scripted.player import ScriptEngine
from selfopt.scripted.script import Script
from tests.endpoints.kit import WEATHER, ask, config_for
from tests.scripted.clock import ManualClock

POLICY = WarmUp(enabled=True, load_timeout_s=120, prompt_timeout_s=10)
CHAT = ask("weather in Oslo?", tools=(WEATHER,), timeout_s=5)


class World:
    """A scripted model `m` and a clock that moves only when somebody waits."""

    def __init__(self, **model: Any) -> None:
        self.clock = ManualClock()
        self.engine = ScriptEngine(Script.model_validate({"models": {"m": model}}), self.clock)
        self.endpoint = ScriptedEndpoint(config_for("scripted"), self.engine)
        self.residency = ScriptedResidency(config_for("scripted"), self.engine)

    async def warm_up(self, request: ChatRequest = CHAT, policy: WarmUp = POLICY, **parts: Any) -> Any:
        """The result and the blobs."""
        endpoint, residency = parts.get("endpoint", self.endpoint), parts.get("residency", self.residency)
        return await warm_up(
            endpoint, residency, "m", [request, *parts.get("others", ())], policy, self.clock.now, self.clock.sleep
        )


class ToldStatus:
    """A residency that says what it was told, and loads nothing."""

    def __init__(self, *states: ModelStatus, error: Exception | None = None) -> None:
        self.states = list(states)
        self.error = error

    async def status(self, model: str) -> ModelStatus:
        """The next one; the last again."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    async def load(self, model: str, timeout_s: float) -> float:
        """At once, or the error."""
        if self.error is not None:
            raise self.error
        return 1.0

    async def unload(self, model: str) -> bool:
        """Not here."""
        return False


class Recorder:
    """An endpoint that gives what it was told to and keeps the requests."""

    def __init__(self, *replies: ChatReply | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[ChatRequest] = []

    async def chat(self, request: ChatRequest) -> ChatReply:
        """The next one; the last again."""
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """In one piece."""
        yield ChatChunk(final=await self.chat(request))

    async def close(self) -> None:
        """Nothing."""


def reply(load: LoadEvidence | None = None) -> ChatReply:
    """A reply with this load evidence."""
    return ChatReply(content=ReplyContent(text="4"), load=load or LoadEvidence(), latency_ms=7, request_body="q", reply_body="a")


async def test_a_cold_model_is_loaded_asked_and_given_a_real_chat(caplog: pytest.LogCaptureFixture) -> None:
    """Longer than any request's own timeout; recorded with bodies; logged."""
    caplog.set_level(logging.INFO, "selfopt.residency")
    world = World(load_ms=60_000, latency_ms=100, default={"text": "4"})
    result, blobs = await world.warm_up()
    assert (result.status, result.resident, result.reason) == ("complete", True, "")
    assert result.load_ms == pytest.approx(60_000)
    assert (result.prompt_ms, result.chat_ms) == (pytest.approx(100), pytest.approx(100))
    asked = [(e.last_user, e.tool_names) for e in world.engine.journal]
    assert asked == [("", ()), (WARM_UP_PROMPT, ()), ("weather in Oslo?", ("get_weather",))]
    assert "Warm-up complete" in caplog.text
    known = {blob.blob_hash: blob.text for blob in blobs}
    assert WARM_UP_PROMPT in known[result.requests[0]]
    assert all(h in known for h in (*result.requests, *result.replies))


async def test_a_warm_up_that_is_off_does_nothing() -> None:
    """Not even a status."""
    world = World()
    result, blobs = await world.warm_up(policy=WarmUp())
    assert (result.status, blobs, len(world.engine.journal)) == ("off", [], 0)


async def test_a_load_beyond_its_timeout_fails_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Status failed, never an exception."""
    result, _ = await World(load_ms=200_000).warm_up()
    assert result.status == "failed"
    assert "120 s" in result.reason
    assert result.load_ms is None
    assert "Warm-up failed" in caplog.text


async def test_once_loaded_the_prompt_is_bounded_by_its_own_timeout() -> None:
    """A model that needs 11 s for 2+2 is not ready."""
    world = World(load_ms=1000, default={"text": "4", "latency_ms": 11_000})
    result, blobs = await world.warm_up()
    assert (result.status, result.load_ms) == ("failed", pytest.approx(1000))
    assert "10 s" in result.reason
    assert [WARM_UP_PROMPT in blob.text for blob in blobs] == [True], "what was sent is on record"


async def test_another_context_size_gets_the_time_of_a_load() -> None:
    """A server that holds the model with another context loads it once more."""
    here = ModelStatus(state="loaded", context_size=4096)
    for wanted, bound in ((None, 10.0), (4096, 10.0), (8192, 120.0)):
        endpoint = Recorder(reply())
        result, _ = await World().warm_up(
            CHAT.model_copy(update={"context_size": wanted}), endpoint=endpoint, residency=ToldStatus(here)
        )
        assert result.status == "complete"
        assert [r.timeout_s for r in endpoint.requests] == [pytest.approx(bound, abs=0.01)] * 2
        assert endpoint.requests[0].sampling.max_tokens == 32


@pytest.mark.parametrize(("signals", "chats"), [([], 1), ([True], 2), ([True, True, True, True], 3)])
async def test_the_real_chat_is_repeated_until_nothing_speaks_of_a_load(signals: list[bool], chats: int) -> None:
    """At most three times, and then it says so."""
    cold = reply(LoadEvidence(load_ms=2000, loaded=True))
    endpoint = Recorder(reply(), *[cold for _ in signals], reply(LoadEvidence(load_ms=80, loaded=False)))
    result, _ = await World().warm_up(endpoint=endpoint, residency=ToldStatus(ModelStatus(state="unknown")))
    assert len(endpoint.requests) == 1 + chats
    assert result.status == "complete"
    assert result.resident is None
    assert ("still reports a load" in result.reason) == (len(signals) > 3)


async def test_a_server_that_still_says_loading_is_asked_again() -> None:
    """Until the load's own deadline; each attempt is on record."""
    loading = EndpointError("loading", kind="loading", bodies=("q0", "wait"))
    patient = Recorder(loading, loading, reply())
    result, blobs = await World().warm_up(endpoint=patient, residency=ToldStatus(ModelStatus(state="loading")))
    assert (result.status, len(patient.requests)) == ("complete", 4)
    assert {blob.text for blob in blobs} == {"q0", "wait", "q", "a"}
    world = World()
    result, _ = await world.warm_up(endpoint=Recorder(loading), residency=ToldStatus(ModelStatus(state="loading")))
    assert result.status == "failed"
    assert 119 < world.clock.now() <= 120


@pytest.mark.parametrize("error", [EndpointError("gone", kind="connect"), EngineError("the engine died")])
async def test_no_failure_is_an_exception(error: Exception) -> None:
    """Of the server or of the engine."""
    result, _ = await World().warm_up(residency=ToldStatus(ModelStatus(state="unloaded"), error=error))
    assert (result.status, result.reason) == ("failed", str(error))
    result, _ = await World().warm_up(endpoint=Recorder(error))
    assert (result.status, result.reason) == ("failed", str(error))


async def test_a_model_that_is_gone_again_is_told() -> None:
    """Complete, but not resident."""
    states = [ModelStatus(state="unloaded"), ModelStatus(state="loaded"), ModelStatus(state="sleeping")]
    result, _ = await World().warm_up(endpoint=Recorder(reply()), residency=ToldStatus(*states))
    assert (result.status, result.resident) == ("complete", False)
    assert "sleeping" in result.reason


@pytest.mark.parametrize(
    ("state", "loads"), [("loaded", False), ("unknown", False), ("unloaded", True), ("sleeping", True), ("loading", True)]
)
async def test_a_model_is_loaded_before_a_run_only_when_it_is_known_not_to_be(state: Any, loads: bool) -> None:
    """What the server does not tell is left alone."""
    found = await ensure_resident(ToldStatus(ModelStatus(state=state)), "m", 10)
    assert found.before.state == state
    assert found.load_ms == (1.0 if loads else None)
    assert found.problem == ""


async def test_a_load_that_fails_before_a_run_is_told_not_raised() -> None:
    """With the reason."""
    error = EndpointError("no such model", kind="not_found")
    found = await ensure_resident(ToldStatus(ModelStatus(state="unloaded"), error=error), "m", 10)
    assert (found.load_ms, found.problem) == (None, "no such model")


async def test_further_requests_are_made_once_each_and_their_time_counts() -> None:
    """A variant that asks twice has two prompts to be read."""
    world = World(load_ms=1000, latency_ms=100, default={"text": "4"})
    result, _ = await world.warm_up(others=(ask("and the arguments?"),))
    assert [e.last_user for e in world.engine.journal if e.last_user][-2:] == ["weather in Oslo?", "and the arguments?"]
    assert result.chat_ms == pytest.approx(200)
