"""Residency as endpoint state, and which reply comes when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import EndpointError
from selfopt.records import Constraint, Message
from selfopt.scripted.endpoint import ScriptedEndpoint, ScriptedResidency
from selfopt.scripted.player import ScriptEngine
from selfopt.scripted.script import Script
from tests.endpoints.kit import WEATHER, ask, config_for
from tests.scripted.clock import ManualClock


class World:
    """One scripted model `m` on a clock that only moves when somebody waits."""

    def __init__(self, **model: Any) -> None:
        self.clock = ManualClock()
        self.engine = ScriptEngine(
            Script.model_validate({"models": {"m": model}, "kinds": {"travel": ["Oslo", "flight|train"]}}), self.clock
        )
        self.endpoint = ScriptedEndpoint(config_for("scripted"), self.engine)
        self.residency = ScriptedResidency(config_for("scripted"), self.engine)

    async def says(self, text: str, **changes: Any) -> str:
        """The reply's text, or the kind of the fault."""
        try:
            return (await self.endpoint.chat(ask(text, **changes))).content.text
        except EndpointError as error:
            return error.kind


async def test_any_request_begins_the_load_and_waits_for_it() -> None:
    """The wait is in the latency and in the load evidence."""
    world = World(load_ms=3000, default={"text": "ok"})
    reply = await world.endpoint.chat(ask("hi"))
    assert reply.latency_ms == pytest.approx(3000)
    assert (reply.load.before, reply.load.loaded) == ("unloaded", True)
    assert reply.load.load_ms == pytest.approx(3000)
    again = await world.endpoint.chat(ask("hi"))
    assert (again.latency_ms, again.load.before, again.load.loaded) == (0.0, "loaded", False)
    assert world.engine.loads("m") == 1


async def test_a_load_goes_on_when_clients_leave() -> None:
    """Three impatient requests, and the fourth comes in time."""
    world = World(load_ms=3500, default={"text": "ok"})
    assert [await world.says("hi", timeout_s=1) for _ in range(4)] == ["timeout", "timeout", "timeout", "ok"]
    assert world.engine.loads("m") == 1


async def test_a_load_that_is_cancelled_by_leaving_never_ends_for_the_impatient() -> None:
    """As Ollama does: only patience helps."""
    world = World(load_ms=3000, abort_cancels_load=True, default={"text": "ok"})
    assert [await world.says("hi", timeout_s=1) for _ in range(5)] == ["timeout"] * 5
    assert world.engine.loads("m") == 5
    assert await world.says("hi", timeout_s=10) == "ok"


async def test_while_loading_requests_can_be_refused() -> None:
    """503, and the load goes on."""
    world = World(load_ms=1000, while_loading="refuse", default={"text": "ok"})
    assert await world.says("hi") == "loading"
    world.clock.advance(1.0)
    assert await world.says("hi") == "ok"


async def test_cold_affects_concerns_only_the_prompts_it_names() -> None:
    """Others are answered while the model loads, and their asking began the load."""
    world = World(load_ms=3000, cold_affects=["weather"], default={"text": "ok"})
    assert await world.says("hello", timeout_s=1) == "ok"
    assert world.engine.state("m") == "loading"
    assert await world.says("WEATHER?", timeout_s=1) == "timeout"
    assert await world.says("hello", timeout_s=1) == "ok"
    world.clock.advance(2.0)
    assert await world.says("weather?", timeout_s=1) == "ok"


@pytest.mark.parametrize("timeout_s", [0.1, 0.5])
async def test_a_load_that_outlasts_two_runs_makes_rows_of_two_failures_and_five_passes(timeout_s: float) -> None:
    """The specification's bench: FFPPPPP for the affected prompts without a warm-up, PPPPPPP with one."""
    model = {"load_ms": 2000, "load_after_aborts": 10, "cold_affects": ["city"], "default": {"text": "ok"}}
    prompts = [*(f"city {n}" for n in range(5)), *(f"other {n}" for n in range(7))]
    for warm, affected in ((False, "FFPPPPP"), (True, "PPPPPPP")):
        world = World(**model)
        if warm:
            assert await world.residency.load("m", 120.0) == pytest.approx(2000)
        rows = dict.fromkeys(prompts, "")
        for _ in range(7):
            for prompt in prompts:
                rows[prompt] += "P" if await world.says(prompt, timeout_s=timeout_s) == "ok" else "F"
        assert {rows[p] for p in prompts[:5]} == {affected}
        assert {rows[p] for p in prompts[5:]} == {"PPPPPPP"}
        await world.residency.unload("m")
        assert world.engine.state("m") == "unloaded"


async def test_an_idle_model_is_unloaded_and_loads_again() -> None:
    """Counted from the end of the last request."""
    world = World(load_ms=1000, idle_unload_s=60, default={"text": "ok"})
    await world.says("hi")
    world.clock.advance(59.0)
    assert world.engine.state("m") == "loaded"
    world.clock.advance(1.0)
    assert world.engine.state("m") == "unloaded"
    assert (await world.endpoint.chat(ask("hi"))).load.loaded is True


async def test_a_forced_unload_in_mid_load_loses_the_load() -> None:
    """The next request begins anew."""
    world = World(load_ms=1000, default={"text": "ok"})
    assert await world.says("hi", timeout_s=0.5) == "timeout"
    assert await world.residency.unload("m") is True
    assert await world.says("hi", timeout_s=0.6) == "timeout"
    assert world.engine.loads("m") == 2


async def test_rules_match_on_what_they_say() -> None:
    """The first rule whose conditions all hold answers."""
    rules = [
        {"match": {"positions": [0]}, "text": "first"},
        {"match": {"contains": ["red", "blue"]}, "text": "both"},
        {"match": {"kind": "travel"}, "text": "travel"},
        {"match": {"regex": r"^\d+\?"}, "text": "number"},
        {"match": {"tools": True, "contains": "call"}, "text": "with tools"},
        {"match": {"tools": False, "contains": "call"}, "text": "without tools"},
        {"match": {"system_contains": "brief"}, "text": "brief"},
        {"match": {"conversation_contains": "earlier"}, "text": "recalled"},
        {"match": {"constraint": "grammar"}, "text": "grammar"},
        {"match": {"constraint": "json_schema"}, "text": "schema"},
        {"match": {"after_tool_result": True}, "text": "result"},
    ]
    world = World(replies=rules, default={"text": "default"})
    user, system = Message(role="user", content="x"), Message(role="system", content="Be BRIEF.")
    earlier = (Message(role="user", content="earlier"), Message(role="assistant", content="yes"), user)
    said = [
        await world.says("red and blue"),
        await world.says("Red and BLUE"),
        await world.says("only red"),
        await world.says("a Train"),
        await world.says("42? yes"),
        await world.says("call", tools=(WEATHER,)),
        await world.says("call"),
        await world.says("", messages=(system, user)),
        await world.says("", messages=earlier),
        await world.says("x", constraint=Constraint(kind="grammar", grammar="root ::= [a-z]")),
        await world.says("x", constraint=Constraint(kind="json_schema", json_schema={"type": "object"})),
        await world.says("", messages=(user, Message(role="tool", content="42", tool_call_id="c"))),
    ]
    expected = [
        "first",
        "both",
        "default",
        "travel",
        "number",
        "with tools",
        "without tools",
        "brief",
        "recalled",
        "grammar",
        "schema",
    ]
    assert said == [*expected, "result"]


@pytest.mark.parametrize(("then", "expected"), [("repeat_last", "abbbb"), ("cycle", "ababa")])
async def test_a_sequence_goes_on_as_it_says(then: str, expected: str) -> None:
    """One after another, then the last again or all again."""
    world = World(replies=[{"sequence": [{"text": "a"}, {"text": "b"}], "then": then}])
    assert "".join([await world.says("x") for _ in range(5)]) == expected


async def test_a_fault_can_be_limited_to_the_first_times() -> None:
    """So that retries can be seen to help."""
    world = World(replies=[{"text": "ok", "fault": {"kind": "status", "status": 500, "times": 2}}])
    assert [await world.says("x") for _ in range(4)] == ["server", "server", "ok", "ok"]


async def test_latency_counts_and_can_exceed_the_timeout() -> None:
    """Model's and reply's add up."""
    world = World(latency_ms=100, default={"text": "ok", "latency_ms": 50})
    assert (await world.endpoint.chat(ask("x"))).latency_ms == pytest.approx(150)
    assert await world.says("x", timeout_s=0.1) == "timeout"


async def test_the_journal_tells_what_was_seen() -> None:
    """In order, with outcomes; refused and unknown ones too."""
    world = World(load_ms=1000, while_loading="refuse", default={"text": "ok", "fault": {"kind": "close", "times": 1}})
    await world.says("one")
    await world.residency.load("m", 10)
    await world.says("two")
    await world.says("three")
    await world.says("four", model="nobody")
    seen = [(e.last_user, e.load_only, e.outcome) for e in world.engine.journal]
    assert seen == [
        ("one", False, "refused"),
        ("", True, "answered"),
        ("two", False, "fault"),
        ("three", False, "answered"),
        ("four", False, "unknown_model"),
    ]


@given(
    load_ms=st.integers(0, 5000),
    steps=st.lists(st.tuples(st.sampled_from(["chat", "unload", "wait"]), st.floats(0.01, 3.0)), max_size=12),
    cancels=st.booleans(),
)
async def test_no_order_of_events_answers_a_cold_model_early(load_ms: int, steps: list[tuple[str, float]], cancels: bool) -> None:
    """A reply never comes sooner after the newest load began than a load takes."""
    world = World(load_ms=load_ms, abort_cancels_load=cancels, default={"text": "ok"})
    begun, loads = 0.0, 0
    for what, seconds in steps:
        if what == "unload":
            world.engine.unload("m")
        elif what == "wait":
            world.clock.advance(seconds)
        else:
            at = world.clock.now()
            answered = await world.says("x", timeout_s=seconds) == "ok"
            if world.engine.loads("m") > loads:
                begun, loads = at, world.engine.loads("m")
            if answered:
                assert world.clock.now() - begun >= load_ms / 1000 - 1e-6
