"""A second way of asking is asked only where it counts, and its answer never reaches the client."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.clients import ClientRequest
from selfopt.gateway.costs import Bill
from selfopt.gateway.sureness import sureness_of
from selfopt.reading.agreement import OtherCalls
from selfopt.records import (
    ChatRequest,
    ConfidenceModel,
    ConfidenceTerms,
    Environment,
    LogProbs,
    Message,
    ParsedReply,
    ReplyContent,
    Signals,
    SignalTerm,
    ToolCall,
    Usage,
    evidence_key,
)
from selfopt.records.confidence import SecondWay
from selfopt.variants.space import composed

from .kit import World, gateway_world
from .test_escalation import CALIBRATED, CALL, READS, WEATHER_TOOL, asked_models, asking, metric, serve_when, sure_rule
from .test_harness import promote
from .test_observing import TEXT, promote_other, told

ROME = TEXT.replace("Oslo", "Rome")
SECOND = SecondWay(variant=composed({"tools": "signatures"}), spec_id="spec-2")


def compares(unknown: float = 0.0) -> ConfidenceModel:
    """A sure call is served, a hopeless one is not, and between them agreement decides. unknown: what counts without."""
    agrees = SignalTerm(signal="agrees", low=0.0, high=1.0, weight=4.0, unknown=unknown)
    terms = (SignalTerm(signal="reply", low=-10.0, high=0.0, weight=5.0, unknown=0.0), agrees)
    return ConfidenceModel(calls=ConfidenceTerms(intercept=-3.5, terms=terms), text=ConfidenceTerms(intercept=-3.5, terms=terms))


def says(words: str, logprob: float, **reply: Any) -> dict[str, Any]:
    return {"match": {"contains": words, "tools": True}, "logprob": logprob, **reply}


def says_again(words: str, **reply: Any) -> dict[str, Any]:
    """What it says in the second way, which offers the tools as a text."""
    return {"match": {"contains": words, "tools": False}, **reply}


MODELS: dict[str, Any] = {
    "m": {
        "replies": [
            says("hopeless", -4.0, **CALL),
            says("certain", -0.01, **CALL),
            says("in text", -0.2, text=TEXT),
            says("talk", -0.2, text="It is sunny in Oslo, as far as I know."),
            says("weather", -0.1, **CALL),
            says_again("same", text=TEXT),
            says_again("other", text=ROME),
            says_again("silent", text="I can't tell."),
            says_again("unread", text='<tool_call>{"name": "get_weather", "arguments": {"city": </tool_call>'),
            says_again("broken", fault={"kind": "status", "status": 500}),
            says_again("slow", fault={"kind": "hang"}),
        ]
    }
}


async def comparing_rule(world: World, model: ConfidenceModel | None = None, **fields: Any) -> None:
    """Make a rule that serves when sure, and compares calls."""
    key = evidence_key("", CALIBRATED, SECOND)
    await sure_rule(world, **{"model": model or compares(), "second": SECOND, "evidence_key": key, **fields})


def agreement(world: World) -> list[bool | None]:
    """What came of each second way of the last request."""
    return [attempt.agrees for attempt in world.records[-1].attempts if attempt.second]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["weather", "in text"])
async def test_calls_that_agree_are_served_and_others_escalate(tmp_path: Path, how: str, stream: bool) -> None:
    """Streamed or not, and however the first way writes them. The client gets the first answer alone."""
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world)
        same = await world.post(asking(f"{how}, same", stream=stream))
        assert told(same, stream=stream)[0] == ["get_weather"]
        assert (same.headers["x-selfopt-model"], same.headers["x-selfopt-variant"]) == ("up/m", "reads")
        assert float(same.headers["x-selfopt-confidence"]) >= 0.8
        assert agreement(world) == [True]
        other = await world.post(asking(f"{how}, other", stream=stream))
        assert told(other, stream=stream) == ([], "I am the other.")
        assert "Rome" not in other.text
        assert other.headers["x-selfopt-escalated"] == "unsure"
        assert agreement(world) == [False]
        assert asked_models(world) == ["m", "m", "m", "m", "other"]
        assert world.trail[-1].details["attempts"][1]["agrees"] is False


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_without_calls_agrees_with_one_without(tmp_path: Path, stream: bool) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world)
        silent = await world.post(asking("talk, silent", stream=stream))
        assert told(silent, stream=stream) == ([], "It is sunny in Oslo, as far as I know.")
        called = await world.post(asking("talk, same", stream=stream))
        assert called.headers["x-selfopt-model"] == "up/other"
        assert (await world.post(asking("weather, silent", stream=stream))).headers["x-selfopt-model"] == "up/other"


@pytest.mark.parametrize("stream", [False, True])
async def test_nobody_is_asked_twice_where_it_would_change_nothing(tmp_path: Path, stream: bool) -> None:
    """What is served in any case is served at once, and what is not escalates at once."""
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world)
        certain = await world.post(asking("certain weather, other", stream=stream))
        assert certain.headers["x-selfopt-model"] == "up/m"
        assert float(certain.headers["x-selfopt-confidence"]) >= 0.8
        hopeless = await world.post(asking("hopeless weather, same", stream=stream))
        assert hopeless.headers["x-selfopt-escalated"] == "unsure"
        assert float(hopeless.headers["x-selfopt-confidence"]) < 0.8
        assert asked_models(world) == ["m", "m", "other"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("words", "fault"), [("broken", "server"), ("slow", "timeout"), ("unread", "")])
@pytest.mark.parametrize("unknown", [0.0, 0.9])
@pytest.mark.own_time
async def test_a_second_way_that_fails_leaves_the_agreement_unknown(
    tmp_path: Path, words: str, fault: str, unknown: float, stream: bool
) -> None:
    """Which counts as the fit says. The attempt is recorded, and the answer is nobody's failure."""
    async with gateway_world(tmp_path, MODELS, options={"timeout_s": 60}) as world:
        await comparing_rule(world, compares(unknown))
        answer = await world.post_past(asking(f"weather, {words}", stream=stream), *((55,) if words == "slow" else ()))
        served = unknown > 0.5
        assert answer.headers["x-selfopt-model"] == ("up/m" if served else "up/other")
        assert answer.headers.get("x-selfopt-escalated") == (None if served else "unsure")
        first, second = world.records[-1].attempts[:2]
        assert (first.fault, first.second, first.least) == ("", "", 0.8)
        assert (second.model, second.second, second.fault) == ("up/m", SECOND.variant.name, fault)
        assert (second.agrees, second.confidence) == (None, None)
        assert await metric(world, 'selfopt_second_ways_total{outcome="unknown"}') == 1
        gate = next(iter(world.gateway.parts.chat.attempts.gates.values()))
        assert (gate.active, gate.state, gate.models) == (0, "closed", {})


async def test_metrics_and_record_count_the_second_way_and_the_usage_of_the_answer_does_not(tmp_path: Path) -> None:
    """It is as if nobody had asked twice."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, least=0.0)
        alone = (await world.post(asking("weather, same"))).body["usage"]
        tokens = await metric(world, 'selfopt_tokens_total{kind="output"}')
        await comparing_rule(world)
        assert (await world.post(asking("weather, same"))).body["usage"] == alone
        second = world.records[-1].attempts[1]
        assert second.output_tokens
        assert await metric(world, 'selfopt_tokens_total{kind="output"}') == 2 * tokens + second.output_tokens
        assert await metric(world, 'selfopt_second_ways_total{outcome="agrees"}') == 1
        assert await metric(world, "selfopt_confidence_count") == 2


async def test_the_second_way_is_asked_as_it_was_measured(tmp_path: Path) -> None:
    """At its own temperature, without log probabilities that nobody reads, and at the same server."""
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world)
        await world.post(asking("weather, same", temperature=1.5, top_p=0.5, seed=3))
        first, second = (turn.body or {} for turn in world.upstream.journal)
        assert (first["model"], second["model"]) == ("m", "m")
        assert (second["temperature"], second.get("top_p"), second["seed"]) == (0.0, None, 3)
        assert first["logprobs"]
        assert not second.get("logprobs")
        assert "tools" not in second
        assert "get_weather" in str(second["messages"])


@pytest.mark.parametrize(("limit", "served"), [(100, False), (None, True), (5000, True)])
async def test_a_second_way_that_the_client_cuts_short_tells_nothing(tmp_path: Path, limit: int | None, served: bool) -> None:
    """Nor that it would have called nothing. Where it was measured it was cut at the variant's limit, which counts as there."""
    replies = [says("talk", -0.2, text="It is sunny."), says_again("talk", text="Let me think", finish_reason="length")]
    async with gateway_world(tmp_path, {"m": {"replies": replies}}) as world:
        await comparing_rule(world)
        limits: dict[str, Any] = {} if limit is None else {"max_tokens": limit}
        answer = await world.post(asking("talk", **limits))
        assert answer.headers["x-selfopt-model"] == ("up/m" if served else "up/other")
        assert answer.headers.get("x-selfopt-escalated") == (None if served else "unmeasured")
        assert agreement(world) == [True if served else None]


@pytest.mark.parametrize("limit", [None, 5000, 100_000])
async def test_no_way_may_say_more_than_where_it_was_measured(tmp_path: Path, limit: int | None) -> None:
    """What was cut there was served at no threshold, so nothing tells how right a longer answer is."""
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world)
        wanted: dict[str, Any] = {} if limit is None else {"max_tokens": limit}
        await world.post(asking("weather, same", **wanted))
        limits = [(turn.body or {})["max_tokens"] for turn in world.upstream.journal]
        assert limits == [READS.sampling.max_tokens, SECOND.variant.sampling.max_tokens]
        assert not any("max_completion_tokens" in (turn.body or {}) for turn in world.upstream.journal)


async def test_what_the_second_way_can_not_be_asked_is_unmeasured(tmp_path: Path) -> None:
    """And so is everything where a rule compares, and names no second way. The model is not asked."""
    limited = SecondWay(variant=composed({"form": "grammar", "tools": "signatures"}), spec_id="spec-3")
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world, second=None, evidence_key=evidence_key("", CALIBRATED))
        assert (await world.post(asking("weather, same"))).headers["x-selfopt-escalated"] == "unmeasured"
        await promote(
            world,
            limited.variant,
            "up/m",
            fallback="up/other",
            serve_when=serve_when(compares(), second=SECOND, evidence_key=evidence_key("", CALIBRATED, SECOND)),
        )
        await promote_other(world)
        # The first way has an end of its own, and the second would heed the client's.
        assert (await world.post(asking("weather, same", stop=["!"]))).headers["x-selfopt-escalated"] == "unmeasured"
        assert asked_models(world) == ["other", "other"]


async def test_another_second_way_than_the_calibrated_one_voids_the_threshold(tmp_path: Path) -> None:
    """Its calls were never compared."""
    other = SecondWay(variant=composed({"tools": "schemas"}), spec_id=SECOND.spec_id)
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world, second=other)
        answer = await world.post(asking("weather, same"))
        assert answer.headers["x-selfopt-escalated"] == "voided"
        assert asked_models(world) == ["other"]


async def test_in_parallel_the_stronger_model_waits_for_both_ways(tmp_path: Path) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await comparing_rule(world, parallel=True)
        same = await world.post(asking("weather, same"))
        assert same.headers["x-selfopt-model"] == "up/m"
        other = await world.post(asking("weather, other"))
        assert told(other, stream=False) == ([], "I am the other.")
        assert [attempt.agrees for attempt in world.records[-1].attempts] == [None, False, None]


async def test_the_second_answer_to_a_complaint_is_compared_with_the_same_second_way(tmp_path: Path) -> None:
    """Which is asked once."""
    misfit = {"tool_calls": [{"name": "get_weather", "arguments": {}}]}
    replies = [
        says("You replied", -0.1, **CALL),
        says("misfit", -0.1, **misfit),
        *MODELS["m"]["replies"],
    ]
    async with gateway_world(tmp_path, {"m": {"replies": replies}}) as world:
        await comparing_rule(world, retry=True)
        answer = await world.post(asking("misfit weather, same"))
        assert answer.headers["x-selfopt-model"] == "up/m"
        assert told(answer, stream=False)[0] == ["get_weather"]
        assert asked_models(world) == ["m", "m", "m"]


def test_the_second_way_is_a_row_of_its_own_before_that_of_the_answer() -> None:
    """Its time is not counted twice, as where an hour has a price."""
    bill = Bill()
    bill.told(10, 5, None)
    bill.beside("m", Usage(input_tokens=20, output_tokens=7), 1.5, "")
    bill.beside("m", Usage(), 0.25, "connect")
    bill.close("m", 4.0, "")
    assert [(row.usage.input_tokens, row.busy_s) for row in bill.rows] == [(20, 1.5), (0, 0.25), (10, 2.25)]
    bill.close("n", 1.0, "")
    assert len(bill.rows) == 4


HERE = ToolCall(name="get_weather", arguments={"city": "Oslo"})
THERE = ToolCall(name="get_weather", arguments={"city": "Rome"})
ASKED = ClientRequest(
    request=ChatRequest(model="m", messages=(Message(role="user", content="Weather in Oslo?"),), tools=(WEATHER_TOOL,))
)
OTHERS = (OtherCalls(), OtherCalls(()), OtherCalls((HERE,)), OtherCalls((THERE, HERE)))


def drawn_terms(rng: Random) -> ConfidenceTerms:
    """Any terms, also odd ones that no fit gives: of a signal twice, or that fall where they should rise."""
    terms = [
        SignalTerm(
            signal=rng.choice(["agrees", "agrees", "reply", "unrepaired"]),
            low=rng.choice([-1.0, 0.0, 0.5, 1.0, rng.uniform(-3, 3)]),
            high=rng.choice([-1.0, 0.0, 0.5, 1.0, rng.uniform(-3, 3)]),
            weight=rng.choice([0.0, rng.uniform(0, 6)]),
            unknown=rng.choice([0.0, 1.0, rng.random()]),
        )
        for _ in range(rng.randrange(5))
    ]
    return ConfidenceTerms(intercept=rng.uniform(-3, 3), terms=tuple(terms))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_asking_only_where_it_counts_decides_as_asking_always(seed: int) -> None:
    """Whatever the weights. The confidence that is told is on the same side of the threshold."""
    rng = Random(seed)
    model = ConfidenceModel(calls=drawn_terms(rng), text=drawn_terms(rng))
    calls, other, level = rng.choice([(), (HERE,), (HERE, THERE)]), rng.choice(OTHERS), rng.uniform(-3, 0)
    observed = LogProbs(tokens=("a",), logprobs=(level,), top_tokens=((),), top_logprobs=((),))
    content, parsed = ReplyContent(text="a", logprobs=observed), ParsedReply(tool_calls=calls)
    when = serve_when(model, rng.choice([0.0, 1.0, rng.random()]), second=SECOND)
    always = sureness_of(when, content, parsed, ASKED, other)
    first = sureness_of(when, content, parsed, ASKED)
    lazy = sureness_of(when, content, parsed, ASKED, other) if first.open else first
    assert (lazy.doubt is None) == (always.doubt is None)
    assert lazy.confidence is not None
    assert (lazy.confidence >= when.least) == (always.doubt is None)
    if not when.compares:
        assert not first.open


def test_what_a_second_way_brings_never_makes_an_answer_surer_than_agreement() -> None:
    """With weights of a fit: to agree counts most, to differ least, and what is not known is between."""
    model = compares(0.1)
    signals = Signals(calls=True, reply=-1.0)
    least, most = model.confidences(signals)
    assert (least, most) == (model.confidence(replace(signals, agrees=0.0)), model.confidence(replace(signals, agrees=1.0)))
    assert least < model.confidence(replace(signals, agrees=None)) < most


def test_the_key_of_evidence_names_the_second_way_and_is_as_before_without() -> None:
    """So that a threshold of one second way never holds for another."""
    here = Environment(endpoint="up", model="up/m", digest="d")
    other = SecondWay(variant=composed({"tools": "schemas"}), spec_id=SECOND.spec_id)
    keys = {evidence_key("spec-1", here), evidence_key("spec-1", here, SECOND), evidence_key("spec-1", here, other)}
    assert len(keys) == 3
    assert evidence_key("spec-1", here, None) == evidence_key("spec-1", here)
    assert READS.variant_hash != SECOND.variant.variant_hash
