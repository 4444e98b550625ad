"""Stored replies stand for new ones only where the same question would be asked of the same model now."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.errors import EndpointError
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Desk
from selfopt.measure.earlier import earlier_trials
from selfopt.records import ChatRequest, ReplyContent, Spec, Trial, Variant

from .kit import Bench, FakeEndpoint, FakeResidency, make_spec, right_answer, run_once
from .test_stored import Observed

LATE = "2999-01-01T00:00:00.000Z"
KNOWN = {"digest": "sha256:1"}


async def found(bench: Bench, spec: Spec, *, before: str = LATE, **context: Any) -> dict[str, Trial]:
    """What is stored for a spec."""
    desk = Desk.of(bench.context(**context), BudgetMeter(Budget(), bench.time.clock))
    return await earlier_trials(desk, spec, [prompt.id for prompt in bench.suite.prompts], before=before)


def known(bench: Bench, **more: Any) -> Bench:
    """The bench with a server that says what it serves."""
    bench.residency = FakeResidency(extra=KNOWN | more)
    return bench


async def test_the_oldest_reply_to_each_prompt_is_found_and_nothing_is_asked(bench: Bench) -> None:
    """Two passes by the same requests, read by another chain."""
    spec = make_spec(known(bench).suite)
    first = await run_once(spec, bench.context())
    await run_once(spec, bench.context())
    asked = len(bench.endpoint.asked)
    other = spec.model_copy(update={"variant": Variant(name="other", parsers=("all@2", "fit"))})
    assert other.request_id == spec.request_id
    trials = await found(bench, other)
    assert {trial.run_id for trial in trials.values()} == set(first.run_ids)
    assert set(trials) == {prompt.id for prompt in bench.suite.prompts}
    assert len(bench.endpoint.asked) == asked


@pytest.mark.parametrize(
    "changes",
    [
        {"variant": Variant(name="words", instructions="Call.")},
        {"model": "scripted/n"},
        {"split": "search"},
        {"timeout_s": 9.0},
    ],
)
async def test_other_requests_have_no_stored_replies(bench: Bench, changes: dict[str, Any]) -> None:
    """Another variant, model, split or limit."""
    spec = make_spec(known(bench).suite)
    await run_once(spec, bench.context())
    assert await found(bench, spec.model_copy(update=changes)) == {}


async def test_replies_of_another_build_of_the_model_are_not_taken(bench: Bench) -> None:
    """Its digest differs; a server that has not loaded it yet knows less, and that is no difference."""
    spec = make_spec(known(bench).suite)
    await run_once(spec, bench.context())
    assert await found(known(bench, quantization="unknown"), spec)
    assert await found(known(bench, digest="sha256:2"), spec) == {}


async def test_a_server_that_hides_what_it_serves_is_believed_for_a_day(bench: Bench) -> None:
    """As everywhere where evidence is used again."""
    spec = make_spec(bench.suite)
    await run_once(spec, bench.context(now=lambda: "2026-01-01T00:00:00.000Z"))
    assert await found(bench, spec, before="2026-01-01T23:00:00.000Z")
    assert await found(bench, spec, before="2026-01-02T01:00:00.000Z") == {}


async def test_what_came_after_the_given_time_is_not_taken(bench: Bench) -> None:
    """So that a search that goes on sees what it saw."""
    spec = make_spec(known(bench).suite)
    await run_once(spec, bench.context(now=lambda: "2026-01-01T12:00:00.000Z"))
    assert await found(bench, spec, before="2026-01-01T11:59:59.999Z") == {}
    assert await found(bench, spec, before="2026-01-01T12:00:00.000Z")


async def test_a_lost_reply_is_not_taken_and_a_cut_one_is(bench: Bench) -> None:
    """A cut reply is what the model says; a timeout is not."""

    def answer(request: ChatRequest) -> ReplyContent | EndpointError:
        if "City0" in request.messages[-1].content:
            return EndpointError("too slow", kind="timeout")
        reply = right_answer(request)
        return reply.model_copy(update={"finish_reason": "length"}) if "City1" in request.messages[-1].content else reply

    spec = make_spec(known(bench).suite)
    bench.endpoint = FakeEndpoint(answer)
    await run_once(spec, bench.context())
    trials = await found(bench, spec)
    assert "c0" not in trials
    assert trials["c1"].fault == "truncated"


async def test_where_log_probabilities_are_asked_for_replies_without_them_are_not_taken(bench: Bench) -> None:
    """Readings judge by them. A server that has none is no reason to ask again."""
    spec = make_spec(known(bench).suite)
    bench.endpoint = Observed()
    await run_once(spec, bench.context())
    assert await found(bench, spec, logprobs_for=lambda spec: 5) == {}
    assert await found(known(bench, logprobs=False), spec, logprobs_for=lambda spec: 5)
    again = await run_once(spec, known(bench).context(logprobs_for=lambda spec: 5))
    trials = await found(bench, spec, logprobs_for=lambda spec: 5)
    assert {trial.run_id for trial in trials.values()} == set(again.run_ids)
