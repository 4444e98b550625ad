"""A threshold on log probabilities is found by a search, promoted by the gates, and served as it was measured."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from selfopt.loop import Listener
from selfopt.reading import needs_logprobs
from selfopt.records import Decision, Rule, SearchEnd, SearchStart, Spec, Verdict
from selfopt.verbs.looping import run_loop
from selfopt.wiring.serving import build_gateway, gateway_options
from tests.gateway.kit import MemoryJournal

from .kit import Script, World, says, suite
from .race_kit import ATOMIC, sample_suite, towns

Make = Callable[..., World]
SEARCH, HELDOUT = 24, 100
TOWNS = towns(SEARCH + HELDOUT)
SETTINGS = {"loop": {"search": True, "search_trials": 120, "max_candidates": 2}}


def is_asked(town: str) -> bool:
    """Whether the prompt about a town asks for its weather. The others only seem to."""
    return int(town[4:]) % 2 == 0


def eager(sure: float | None, unsure: float | None) -> Script:
    """A model that calls whatever is said, and is sure only where that is right."""
    replies = [
        {
            "match": {"contains": f"{town}?", "tools": True},
            "logprob": sure if is_asked(town) else unsure,
            **says(town, "native"),
        }
        for town in TOWNS
    ]
    return {"latency_ms": 20.0, "initially_loaded": True, "digest": "d1", "default": {"text": "Hm."}, "replies": replies}


def prompts() -> dict[str, Any]:
    """Every second prompt needs no call, though it names a town."""
    body = sample_suite(SEARCH, HELDOUT)
    for prompt, town in zip(body["prompts"], TOWNS, strict=True):
        if not is_asked(town):
            prompt |= {"kind": "no call", "reason": "nothing is asked", "expected": [[]]}
            prompt["messages"] = [{"role": "user", "content": f"Have you been to {town}?"}]
    return body


def made(world: Make, model: Script, **endpoint: Any) -> World:
    """A world whose endpoint has these settings."""
    w = world(m=model)
    w.settings = {
        "endpoints": {"scripted": {"kind": "scripted", "script": str(w.script_path), "local": True, "logprobs": True, **endpoint}}
    }
    w.write(small=prompts())
    return w


async def looped(w: World) -> None:
    with w.app(**SETTINGS) as app:
        await run_loop(app, [ATOMIC], listener=Listener(w.events.append))


def rule_of(w: World) -> Rule:
    return w.rules()["scripted/m", "atomic"]


@asynccontextmanager
async def served(w: World) -> AsyncIterator[Callable[[str], Any]]:
    """A gateway under the rules of a world: asks it, and returns headers and message."""
    with w.app() as app:
        gateway = build_gateway(app, gateway_options(app, None, 0), MemoryJournal())
        await gateway.start()
        tools = [{"type": "function", "function": tool} for tool in suite("small", "atomic", "x")["tool_sets"]["t"]]
        async with aiohttp.ClientSession() as session:

            async def ask(text: str) -> tuple[dict[str, str], dict[str, Any]]:
                body = {"model": "scripted/m", "messages": [{"role": "user", "content": text}], "tools": tools}
                async with session.post(f"{gateway.base_url}/chat/completions", json=body) as response:
                    data = json.loads(await response.text())
                    assert response.status == 200, data
                    return {k.lower(): v for k, v in response.headers.items()}, data["choices"][0]["message"]

            try:
                yield ask
            finally:
                await gateway.close()


async def test_a_threshold_is_found_promoted_and_served(world: Make) -> None:
    """The unsure call is withheld and the sure one passed, measured and live."""
    w = made(world, eager(-0.05, -1.0))
    await looped(w)
    with w.ledger() as ledger:
        (start,), (end,) = ledger.read(SearchStart), ledger.read(SearchEnd)
        specs = {spec.spec_id: spec for spec in ledger.read(Spec)}
        promoted = [one for one in ledger.read(Decision) if one.verdict == "promote"]
        kinds = {made.kind for verdict in ledger.read(Verdict) for made in verdict.parsed.corrections}
    assert "logprobs" in start.capabilities
    assert "surety" in end.ranking[0].point
    assert any(needs_logprobs(specs[one.candidate_spec_id].variant.parsers) for one in promoted)
    assert "unsure" in kinds
    assert "unsure_unknown" not in kinds
    rule = rule_of(w)
    assert rule.variant is not None
    assert needs_logprobs(rule.variant.parsers)
    async with served(w) as ask:
        headers, message = await ask("Weather in Town000?")
        assert "surety" in headers["x-selfopt-variant"]
        assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "Town000"}
        headers, message = await ask("Have you been to Town001?")
        assert (message.get("tool_calls"), message["content"]) == (None, "Hm.")
        assert "x-selfopt-passed" not in headers


async def test_a_rule_whose_server_gives_none_any_more_serves_as_without_it_and_is_withdrawn(world: Make) -> None:
    """Live traffic says so at once, and the next cycle finds that the rule doesn't hold."""
    w = made(world, eager(-0.05, -1.0))
    await looped(w)
    w.models = {"m": eager(None, None)}
    w.engine, w.generation = None, w.generation + 1
    w.settings["endpoints"]["scripted"]["script"] = str(w.script_path)
    w.write(small=prompts())
    async with served(w) as ask:
        headers, message = await ask("Weather in Town000?")
        assert headers["x-selfopt-passed"] == "no_logprobs"
        assert message["tool_calls"]
    await w.loop(cycles=1, keys=[("scripted/m", "atomic")])
    rule = rule_of(w)
    assert rule.variant is None or not needs_logprobs(rule.variant.parsers)


@pytest.mark.parametrize("endpoint", [{"logprobs": None}, {"omit": ["logprobs"]}])
async def test_where_none_can_come_no_threshold_is_tried(world: Make, endpoint: dict[str, Any]) -> None:
    """Neither by the search nor by name."""
    w = made(world, eager(-0.05, -1.0), **endpoint)
    await looped(w)
    with w.ledger() as ledger:
        (start,) = ledger.read(SearchStart)
        assert "logprobs" not in start.capabilities
        assert not any(needs_logprobs(spec.variant.parsers) for spec in ledger.read(Spec))
