"""A trial that decides first asks for probabilities, and its stored replies are judged as it was."""

from __future__ import annotations

import math

from selfopt.measure.readings import read_by_each
from selfopt.measure.stored_signals import signalled
from selfopt.records import ChatReply, ChatRequest, LogProbs, Outcome, ReplyContent, Trial, Verdict
from selfopt.variants.space import composed

from .kit import Bench, FakeEndpoint, make_spec, right_answer, run_once


class Deciding(FakeEndpoint):
    """Says yes to what asks for the weather, no to the rest, and calls something whenever it is asked to answer."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        reply = await super().chat(request)
        if request.sampling.max_tokens > 1:
            return reply
        text = request.messages[-1].content
        chances = (-0.1, -3.0) if "weather of" in text else (-3.0, -0.1) if "hello" in text else (-0.7, -0.7)
        words = ("yes", "no")
        observed = LogProbs(tokens=("yes",), logprobs=(chances[0],), top_tokens=(words,), top_logprobs=(chances,))
        said = ReplyContent(text="yes", finish_reason="length")
        return reply.model_copy(update={"content": said, "logprobs": observed if request.logprobs else None})


def eager(request: ChatRequest) -> ReplyContent:
    """Calls for everything."""
    return right_answer(request) if "weather of" in request.messages[-1].content else calling()


def calling() -> ReplyContent:
    return ReplyContent(text='{"name": "get_weather", "arguments": {"city": "Oslo"}}', finish_reason="stop")


async def test_what_needs_no_call_takes_two_requests_of_a_token_and_none_for_an_answer(bench: Bench) -> None:
    """Their end at the token limit is no fault, and the verdicts are the same when stored replies are read again."""
    bench.endpoint = Deciding(eager)
    spec = make_spec(bench.suite, variant=composed({"decide": "even"}))
    result = await run_once(spec, context=bench.context())
    trials = [trial for run_id in result.run_ids for trial in bench.ledger.read(Trial, {"run_id": run_id})]
    steps = {trial.prompt_id: [one.step for one in trial.exchanges] for trial in trials}
    assert {tuple(told) for one, told in steps.items() if one.startswith("c")} == {("decide", "decide N/A", "answer")}
    assert {tuple(told) for one, told in steps.items() if one.startswith("s")} == {("decide", "decide N/A")}
    assert {trial.fault for trial in trials} == {None}
    outcomes = {v.prompt_id: v.outcome for run_id in result.run_ids for v in bench.ledger.read(Verdict, {"run_id": run_id})}
    assert set(outcomes.values()) == {Outcome.PASS}
    again = read_by_each(bench.ledger, spec, bench.suite, trials, {"own": spec.variant.parsers})["own"]
    assert {verdict.prompt_id: verdict.outcome for verdict in again} == outcomes


async def test_a_server_without_probabilities_is_asked_for_the_answer(bench: Bench) -> None:
    """Nothing is decided then, so nothing is held back."""
    bench.endpoint = FakeEndpoint(lambda request: calling())
    spec = make_spec(bench.suite, variant=composed({"decide": "firm"}))
    result = await run_once(spec, context=bench.context())
    trials = [trial for run_id in result.run_ids for trial in bench.ledger.read(Trial, {"run_id": run_id})]
    assert {tuple(one.step for one in trial.exchanges) for trial in trials} == {("decide", "answer")}
    asked = [request.logprobs for request in bench.endpoint.asked if request.sampling.max_tokens == 1]
    assert set(asked) == {10}


class Picking(FakeEndpoint):
    """Begins a call of the weather's tool; surely where the weather is asked for, and hardly for small talk."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        reply = await super().chat(request)
        if request.logprobs != 20:
            return reply
        text = request.messages[-1].content
        call = 0.9 if "weather of" in text else 0.1 if "hello" in text else 0.5
        places = (('{"name": "', {'{"name": "': call, "Well": 1 - call}), ("get_weather", {"get_weather": 1.0}))
        observed = LogProbs(
            tokens=tuple(written for written, _ in places),
            logprobs=tuple(math.log(top[written]) for written, top in places),
            top_tokens=tuple(tuple(top) for _, top in places),
            top_logprobs=tuple(tuple(map(math.log, top.values())) for _, top in places),
        )
        said = ReplyContent(text="".join(observed.tokens), finish_reason="length")
        return reply.model_copy(update={"content": said, "logprobs": observed})


async def test_a_picked_tool_is_asked_for_and_its_probability_is_a_signal_of_stored_replies(bench: Bench) -> None:
    """No request is made for it, and what was picked is the same when the replies are read again."""
    bench.endpoint = Picking(eager)
    spec = make_spec(bench.suite, variant=composed({"pick": "even"}))
    result = await run_once(spec, context=bench.context())
    trials = [trial for run_id in result.run_ids for trial in bench.ledger.read(Trial, {"run_id": run_id})]
    steps = {trial.prompt_id: [one.step for one in trial.exchanges] for trial in trials}
    assert {tuple(told) for one, told in steps.items() if one.startswith("c")} == {("pick", "pick N/A", "answer")}
    assert {tuple(told) for one, told in steps.items() if one.startswith("s")} == {("pick", "pick N/A")}
    assert {trial.fault for trial in trials} == {None}
    asked = len(bench.endpoint.asked)
    found = list(signalled(bench.ledger, spec, bench.suite, trials))
    assert len(bench.endpoint.asked) == asked
    assert {one.outcome for one in found} == {Outcome.PASS}
    assert {round(one.signals.choice or 0, 3) for one in found} == {round(math.log(0.9), 3)}
    assert {one.signals.calls for one in found} == {True, False}
