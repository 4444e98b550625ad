"""A server that refuses a form of request is asked a few times, and what follows is recorded as not asked."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.dialects.faults import status_error
from selfopt.errors import EndpointError
from selfopt.measure.budget import Budget
from selfopt.measure.options import MeasureOptions
from selfopt.measure.refusals import Refusals
from selfopt.measure.silence import SILENT_AFTER
from selfopt.measure.supervisor import supervise
from selfopt.records import ChatRequest, Ledger, Message, Outcome, ReplyContent, RunEnd, Suite, Trial, Verdict

from .kit import Bench, FakeEndpoint, FakeResidency, make_spec, make_suite, right_answer

NO_TOOLS = (400, "m:latest does not support tools")
MEMORY = (500, "model requires more system memory (9.3 GiB) than is available (4.1 GiB)")
CONTEXT = (400, "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it")
ROLES = (400, "Conversation roles must alternate user/assistant/user/assistant/...")


def error_of(said: tuple[int, str]) -> EndpointError:
    """What a client of such a server gets."""
    return status_error("endpoint e", said[0], {}, "{}", said[1])


def refusing(said: tuple[int, str], *, but: int | None = None) -> FakeEndpoint:
    """Refuses every request, but one by its number from 0."""
    endpoint = FakeEndpoint()

    def answer(request: ChatRequest) -> ReplyContent | EndpointError:
        return right_answer(request) if len(endpoint.asked) - 1 == but else error_of(said)

    endpoint.answer = answer
    return endpoint


def trials(ledger: Ledger) -> list[Trial]:
    """All trials."""
    return list(ledger.read(Trial))


@pytest.mark.parametrize(("said", "cause"), [(NO_TOOLS, "no_tools"), (MEMORY, "memory")])
async def test_a_pass_that_is_refused_is_not_asked_to_its_end(ledger: Ledger, said: tuple[int, str], cause: str) -> None:
    """Three requests, no retry, no second run; every prompt has its trial, and those not asked say so."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(said))
    result = await supervise(make_spec(bench.suite, retries=3), context=bench.context(), options=MeasureOptions(sampling=True))
    assert (len(bench.endpoint.asked), result.trials, result.status) == (3, 3, "complete")
    assert bench.time.sleeps == []
    made = trials(ledger)
    assert [trial.asked for trial in made] == [True] * 3 + [False] * 3
    assert {(trial.fault, trial.cause, trial.said) for trial in made} == {("error", cause, f"{said[0]}: {said[1]}")}
    assert {attempt.cause for trial in made for e in trial.exchanges for attempt in e.attempts} == {cause}
    evaluation = result.evaluation
    assert evaluation is not None
    assert (evaluation.determinism, evaluation.n_runs, evaluation.has_copies, evaluation.refused) == ("refused", 1, True, 6)
    assert evaluation.metrics.counts == {Outcome.ERROR: 6}
    assert (evaluation.rows[5].causes, evaluation.rows[5].said) == ((cause,), f"{said[0]}: {said[1]}")
    whys = {verdict.trial_id: verdict.why for verdict in ledger.read(Verdict)}
    assert ["not asked" in whys[trial.trial_id] for trial in made] == [not trial.asked for trial in made]


async def test_one_refusal_does_where_the_server_said_so_before(ledger: Ledger) -> None:
    """The model's own card has no tools: the first 400 confirms it."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(NO_TOOLS), residency=FakeResidency(extra={"tools": False}))
    result = await supervise(make_spec(bench.suite), context=bench.context())
    assert len(bench.endpoint.asked) == 1
    assert result.evaluation is not None
    assert result.evaluation.determinism == "refused"


async def test_a_card_without_tools_is_not_believed_where_replies_come(ledger: Ledger) -> None:
    """A server may know less about a model than it can do."""
    bench = Bench(ledger=ledger, suite=make_suite(), residency=FakeResidency(extra={"tools": False}))
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=1))
    assert len(bench.endpoint.asked) == 6
    assert result.evaluation is not None
    assert result.evaluation.metrics.accuracy == 1.0


@pytest.mark.parametrize("but", [0, 1, 2, 5])
async def test_one_reply_shows_that_others_may_come(ledger: Ledger, but: int) -> None:
    """Then every prompt is asked, except where three refusals came first."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(NO_TOOLS, but=but))
    await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=1))
    assert len(bench.endpoint.asked) == (6 if but < 3 else 3)


OOPS = (500, "oops")
FULL = (429, "slow down")
NOT_PARSED = (500, "error parsing tool call: raw='x', err=y")
UNKNOWN = (400, "that is not for me")


@pytest.mark.parametrize("said", [OOPS, FULL, (529, "Overloaded"), (503, "Service Unavailable")])
async def test_a_server_that_only_fails_ends_the_command(ledger: Ledger, said: tuple[int, str]) -> None:
    """Three requests with their retries; the run says why it was given up, and its failures count for nothing."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(said))
    for _ in range(2):
        with pytest.raises(EndpointError, match=rf"the server only fails: .*{said[0]}: {said[1]}.*the same command again"):
            await supervise(make_spec(bench.suite, retries=1), context=bench.context(), options=MeasureOptions(n_runs=3))
    assert len(bench.endpoint.asked) == 12
    ends = list(ledger.read(RunEnd))
    assert [(end.status, end.said) for end in ends] == [("interrupted", f"{said[0]}: {said[1]}")] * 2
    assert all(end.fault is not None for end in ends)
    bench.endpoint.answer = right_answer
    result = await supervise(make_spec(bench.suite, retries=1), context=bench.context(), options=MeasureOptions(n_runs=3))
    assert result.evaluation is not None
    assert (result.evaluation.metrics.accuracy, result.evaluation.metrics.n) == (1.0, 18)


@pytest.mark.parametrize("said", [NOT_PARSED, UNKNOWN])
async def test_what_the_request_is_refused_for_ends_the_pass(ledger: Ledger, said: tuple[int, str]) -> None:
    """The rest is not asked and not repeated, but nothing is claimed to be known exactly."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(said))
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=3, sampling=True))
    assert (len(bench.endpoint.asked), result.status) == (3, "complete")
    assert result.evaluation is not None
    assert (result.evaluation.determinism, result.evaluation.refused, result.evaluation.has_copies) == ("refused", 0, False)
    assert {trial.said for trial in trials(ledger) if not trial.asked} == {f"{said[0]}: {said[1]}"}


async def test_other_words_of_a_refusal_may_be_about_another_prompt(ledger: Ledger) -> None:
    """So every prompt is asked; at last nothing was answered, which ends the command."""
    bench = Bench(ledger=ledger, suite=make_suite(30, 0), endpoint=FakeEndpoint())
    bench.endpoint.answer = lambda request: error_of((400, f"no {len(bench.endpoint.asked)}"))
    with pytest.raises(EndpointError, match="the server only fails"):
        await supervise(make_spec(bench.suite), context=bench.context())
    assert len(bench.endpoint.asked) == SILENT_AFTER


async def test_a_model_that_is_being_loaded_is_asked_on(ledger: Ledger) -> None:
    """A cold start is what a pass may show."""
    loading = FakeEndpoint()
    loading.answer = lambda request: error_of((503, "Loading model"))
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=loading)
    await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=7))
    assert len(loading.asked) == 42


async def test_several_models_are_measured_on_where_one_only_fails(ledger: Ledger) -> None:
    """A comparison has a row that says so."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(OOPS))
    options = MeasureOptions(n_runs=1, carries_on=True)
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=options)
    assert (len(bench.endpoint.asked), result.status) == (3, "complete")


async def test_another_prompt_may_fit_the_context(ledger: Ledger) -> None:
    """So every prompt is asked, once."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(CONTEXT))
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(sampling=True))
    assert len(bench.endpoint.asked) == 6
    assert result.evaluation is not None
    assert (result.evaluation.determinism, result.evaluation.n_runs) == ("refused", 1)


async def test_another_order_of_roles_may_be_taken(ledger: Ledger) -> None:
    """Each order of roles is asked until three requests are refused, and then once."""
    suite = make_suite(6, 0)
    prompts = [*suite.prompts[:4]]
    for i in (4, 5):
        longer = (Message(role="system", content="s"), *suite.prompts[i].messages)
        prompts.append(suite.prompts[i].model_copy(update={"messages": longer}))
    bench = Bench(ledger=ledger, suite=Suite(**{**dict(suite), "prompts": tuple(prompts)}), endpoint=refusing(ROLES))
    await supervise(make_spec(bench.suite), context=bench.context())
    assert [trial.asked for trial in trials(ledger)] == [True, True, True, False, True, False]


@pytest.mark.parametrize(
    "said", [(402, "Insufficient Balance"), (404, "model 'm' not found"), (404, "404 page not found"), (401, "no")]
)
async def test_what_no_spec_gets_past_ends_the_measurement(ledger: Ledger, said: tuple[int, str]) -> None:
    """No credit, an unknown model, a wrong key: the first request says it all."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(said))
    with pytest.raises(EndpointError) as caught:
        await supervise(make_spec(bench.suite), context=bench.context())
    assert said[1] in str(caught.value)
    assert len(bench.endpoint.asked) == 1


async def test_a_cap_counts_what_was_asked_alone(ledger: Ledger) -> None:
    """Three requests use it up, and the rest of the pass is still recorded."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(NO_TOOLS))
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(budget=Budget(max_trials=3)))
    assert (result.status, result.trials) == ("complete", 3)


async def test_slots_at_once_ask_a_few_more_at_most(ledger: Ledger) -> None:
    """Those that are under way when the third refusal comes."""
    bench = Bench(ledger=ledger, suite=make_suite(12, 8), endpoint=refusing(NO_TOOLS), slots=4)
    result = await supervise(make_spec(bench.suite), context=bench.context())
    assert 3 <= len(bench.endpoint.asked) <= 6
    assert result.evaluation is not None
    assert result.evaluation.determinism == "refused"


async def test_a_pass_that_goes_on_is_not_asked_again(ledger: Ledger) -> None:
    """Another process left trials out before it died; the next one leaves the rest out."""
    bench = Bench(ledger=ledger, suite=make_suite(), endpoint=refusing(NO_TOOLS))
    await supervise(make_spec(bench.suite), context=bench.context())
    known = Refusals.after(trials(ledger), without_tools=False)
    fresh = Refusals.after([trial for trial in trials(ledger) if trial.asked], without_tools=False)
    job: Any = _job(bench)
    assert known.covers(job)
    assert not fresh.covers(job)


def _job(bench: Bench) -> Any:
    """A job as the batch makes it."""
    from selfopt.measure.arms import Readiness, open_arm
    from selfopt.measure.budget import BudgetMeter
    from selfopt.measure.context import Desk, Labels
    from selfopt.measure.trial import TrialJob
    from selfopt.records import Ask, ModelStatus, WarmUpResult

    context = bench.context()
    desk = Desk.of(context, BudgetMeter(Budget(), context.clock))
    spec = make_spec(bench.suite)
    readiness = Readiness(ModelStatus(state="loaded"), WarmUpResult(status="off"))
    arm = open_arm(desk, spec, bench.suite, ["c0"], 0, Labels(), readiness)
    prompt = bench.suite.prompts[0]
    return TrialJob("trial-x", arm, Ask(spec.request_id, 0, prompt.id), prompt, bench.suite.tools_of(prompt), 0)
