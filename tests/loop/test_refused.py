"""A cycle over a model that its server refuses: little is spent, and what can work is tried at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import EndpointError
from selfopt.records import Attempt, Evaluation, Finding, RaceBlock, RefusedFigures, Trial
from selfopt.verbs.measuring import MeasureRequest, measure_model

from .kit import CITIES, World, model
from .race_kit import candidates

M = "scripted/m"
Make = Callable[..., World]


def refusal(status: int, body: str) -> dict[str, Any]:
    """A server that answers so."""
    return {"fault": {"kind": "status", "status": status, "body": body}}


def call_of(city: str) -> dict[str, Any]:
    """A call, as a model writes it."""
    return {"name": "get_weather", "arguments": {"city": city}}


def without_tools(**more: Any) -> dict[str, Any]:
    """A model that is refused with tools, and answers right where they stand in the prompt."""
    calls = [
        {
            "match": {"contains": f"Weather in {city}?", "tools": False},
            "text": json.dumps(call_of(city)),
        }
        for city in CITIES
    ]
    no = {"match": {"tools": True}, **refusal(400, "m does not support tools")}
    return {"initially_loaded": True, "default": {"text": "Hello to you."}, "replies": [no, *calls], **more}


def asked_with_tools(world: World) -> int:
    """How many requests had tools."""
    with world.ledger() as ledger:
        attempts: list[Attempt] = [a for t in ledger.read(Trial) for e in t.exchanges for a in e.attempts]
        return sum(a.cause == "no_tools" for a in attempts)


async def test_a_model_without_tools_gets_a_text_variant_for_three_native_requests(world: Make) -> None:
    """The baseline is recorded as refused, the candidate that works passes the gates and is put into the rule."""
    w = world(m=without_tools())
    first, second = await w.loop("scripted/m atomic native_api", cycles=2)
    (target,) = first.targets
    assert (target.baseline_accuracy, target.improvement) == (0.0, 1.0)
    assert {row.variant for row in target.candidates} == {"few_shot_constrained@2", "constrained@2", "atomic@2"}
    assert target.winner_variant == "few_shot_constrained@2"
    assert asked_with_tools(w) == 3
    rule = w.rules()[M, "atomic"]
    assert rule.variant is not None
    assert (rule.allow, rule.variant.tools, rule.warm_up) == (True, "system_prompt", False)
    with w.ledger() as ledger:
        (figures,) = [f.figures for f in ledger.read(Finding, {"cycle_id": first.cycle_id}) if f.type == "refused"]
        assert figures == RefusedFigures(cause="no_tools", refused=7, of=7, share=1.0, said="400: m does not support tools")
        baseline = next(iter(ledger.read(Evaluation, {"id": target.baseline_evaluation_id or ""})))
        assert (baseline.determinism, baseline.n_runs) == ("refused", 1)
        assert first.trials == sum(t.asked for t in ledger.read(Trial)) - second.trials
    assert second.targets[0].winner_variant is None


async def test_the_next_cycle_asks_for_no_native_variant_again(world: Make) -> None:
    """A cycle that searches on from a baseline in text stays with text, until the model is another one."""
    w = world(m=without_tools(digest="one"))
    await w.loop("scripted/m atomic native_api")
    assert asked_with_tools(w) == 3
    worse = {"match": {"contains": "Weather in Lima?"}, "text": "Hm."}
    broken = without_tools(digest="one")
    w.rescript(m={**broken, "replies": [broken["replies"][0], worse, *broken["replies"][1:]]})
    (stays,) = await w.loop("scripted/m atomic few_shot@2", settings={"loop": {"max_candidates": 20}})
    assert stays.targets[0].candidates
    assert asked_with_tools(w) == 3
    w.rescript(m=model(digest="two"))
    (another,) = await w.loop("scripted/m atomic few_shot@2", settings={"loop": {"max_candidates": 20}})
    assert any(row.variant.startswith(("native", "restrained")) for row in another.targets[0].candidates)


async def test_a_model_that_does_not_fit_into_memory_costs_three_requests(world: Make) -> None:
    """No candidate, no retry, no rule, and the remedy in the server's words."""
    said = "model requires more system memory (9.3 GiB) than is available (4.1 GiB)"
    w = world(m=model(replies=[refusal(500, said)]))
    (cycle,) = await w.loop("scripted/m atomic native_api", settings={"limits": {"retries": 5}})
    assert cycle.targets[0].candidates == ()
    assert cycle.trials == 3
    assert w.rules() == {}
    assert any(said in text and "smaller model" in text for text in w.said("recommendation"))


async def test_an_account_without_credit_ends_the_loop_with_one_line(world: Make) -> None:
    """One request; nothing is decided."""
    w = world(m=model(replies=[refusal(402, "Insufficient Balance")]))
    with pytest.raises(EndpointError, match=r"402: Insufficient Balance; the account has no credit: add credit to the account"):
        await w.loop("scripted/m atomic native_api")


async def test_a_warm_up_never_makes_a_rule_for_a_model_that_is_refused(world: Make) -> None:
    """Its text variant was seen to wait for a load; natively it is refused, and no rule may allow that."""
    w = world(m=without_tools(initially_loaded=False, load_ms=900.0, latency_ms=10.0), other=model())
    for variant in ("atomic@2", "native_api"):
        with w.app() as app:
            await measure_model(app, MeasureRequest(M, "atomic", variant))
    await w.loop("scripted/other atomic native_api")
    assert (M, "atomic") not in w.rules()
    assert ("scripted/other", "atomic") in w.rules()


async def test_a_refused_candidate_costs_three_requests_a_block_of_its_race(world: Make, tmp_path: Path) -> None:
    """Its trials count as lost, so it is dropped; the rest of its requests are not made."""
    calls = [
        {"match": {"contains": f"Weather in {city}?", "tools": False, "chance": 0.6}, "text": json.dumps(call_of(city))}
        for city in CITIES
    ]
    no = {"match": {"tools": True}, **refusal(400, "m does not support tools")}
    w = world(m={"initially_loaded": True, "digest": "d1", "default": {"text": "Hello to you."}, "replies": [no, *calls]})
    (cycle,) = await w.loop("scripted/m atomic atomic@2", candidates=candidates(tmp_path, {"variant": "native_api"}))
    (row,) = cycle.targets[0].candidates
    assert row.verdict == "reject"
    with w.ledger() as ledger:
        blocks = list(ledger.read(RaceBlock))
        assert blocks
        native = [t for t in ledger.read(Trial) if t.cause == "no_tools"]
        assert sum(t.asked for t in native) <= 3 * len(blocks)
        assert sum(not t.asked for t in native) > len(blocks)
