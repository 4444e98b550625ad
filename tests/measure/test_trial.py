"""One trial: retries, faults, evidence, truncation, isolation."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import EndpointError, EndpointFault
from selfopt.measure.context import Backoff
from selfopt.measure.options import MeasureOptions
from selfopt.records import Blob, ChatRequest, Outcome, ReplyContent, Trial, TrialAbandoned, Variant, Verdict

from .kit import Bench, FakeEndpoint, FakeResidency, call_reply, make_spec, make_suite, right_answer, run_once


def failing(
    times: int, kind: EndpointFault, *, status: int | None = None, retry_after_s: float | None = None
) -> Callable[[ChatRequest], ReplyContent | EndpointError]:
    """Fails the first so many requests, then answers rightly."""
    left = [times]

    def answer(request: ChatRequest) -> ReplyContent | EndpointError:
        if left[0] > 0:
            left[0] -= 1
            return EndpointError(f"{kind}!", kind=kind, status=status, retry_after_s=retry_after_s, bodies=("out", "in"))
        return right_answer(request)

    return answer


async def one(bench: Bench, **changes: object) -> tuple[Trial, Verdict]:
    """The first trial of one pass."""
    spec = make_spec(bench.suite, **changes)
    await run_once(spec, context=bench.context(), options=MeasureOptions(limit=1))
    trial = next(iter(bench.ledger.read(Trial)))
    return trial, next(iter(bench.ledger.read(Verdict, {"run_id": trial.run_id})))


async def test_a_good_reply_is_one_attempt_and_passes(bench: Bench) -> None:
    """Nothing goes wrong: one attempt, its exact texts kept, verdict pass."""
    trial, verdict = await one(bench)
    (attempt,) = trial.exchanges[0].attempts
    assert verdict.outcome is Outcome.PASS
    assert trial.fault is None
    blobs = {b.blob_hash: b.text for b in bench.ledger.read(Blob)}
    assert blobs[attempt.request] == "sent 1"
    assert attempt.reply in blobs
    assert ReplyContent.model_validate_json(blobs[trial.exchanges[0].content or ""]) == call_reply("City0")


async def test_every_failed_attempt_is_recorded_with_what_was_sent_and_received(bench: Bench) -> None:
    """Two failures and a success are three attempts, with waits between them."""
    bench.endpoint = FakeEndpoint(failing(2, "server", status=500))
    trial, verdict = await one(bench, retries=3)
    attempts = trial.exchanges[0].attempts
    assert [a.fault for a in attempts] == ["server", "server", None]
    assert [a.number for a in attempts] == [1, 2, 3]
    assert verdict.outcome is Outcome.PASS
    texts = {b.blob_hash: b.text for b in bench.ledger.read(Blob)}
    assert (texts[attempts[0].request], texts[attempts[0].reply or ""]) == ("out", "in")
    assert attempts[0].wait_before_ms == 0
    assert [a.wait_before_ms / 1000 for a in attempts[1:]] == pytest.approx(bench.time.sleeps)
    assert trial.latency_ms >= sum(bench.time.sleeps) * 1000


async def test_retries_end_after_the_specs_number(bench: Bench) -> None:
    """1 + retries attempts, then the fault stands."""
    bench.endpoint = FakeEndpoint(failing(99, "server", status=500))
    trial, verdict = await one(bench, retries=2)
    assert len(trial.exchanges[0].attempts) == 3
    assert (trial.fault, verdict.outcome) == ("error", Outcome.ERROR)


async def test_what_is_not_worth_retrying_is_not_retried(bench: Bench) -> None:
    """A 400 stays a 400."""
    bench.endpoint = FakeEndpoint(failing(1, "bad_request", status=400))
    trial, verdict = await one(bench, retries=5)
    assert len(trial.exchanges[0].attempts) == 1
    assert verdict.outcome is Outcome.ERROR
    assert bench.time.sleeps == []


async def test_retry_after_is_honoured(bench: Bench) -> None:
    """The wait is at least what the server asked for."""
    bench.endpoint = FakeEndpoint(failing(1, "rate_limited", status=429, retry_after_s=17.0))
    await one(bench, retries=1)
    assert bench.time.sleeps == [17.0]


async def test_a_server_that_asks_for_more_than_a_minute_is_not_asked_again(bench: Bench) -> None:
    """Neither is it waited for so long, nor asked before the time it named."""
    bench.endpoint = FakeEndpoint(failing(1, "rate_limited", status=429, retry_after_s=86_400.0))
    trial, verdict = await one(bench, retries=1)
    assert bench.time.sleeps == []
    assert (len(trial.exchanges[0].attempts), verdict.outcome) == (1, Outcome.ERROR)


@given(st.integers(1, 200), st.none() | st.floats(0, 1e9), st.integers())
def test_backoff_stays_between_its_bounds(failures: int, retry_after_s: float | None, seed: int) -> None:
    """Never above the caps, never below half the exponential."""
    backoff = Backoff()
    wait_s = backoff.wait_s(failures, retry_after_s, random.Random(seed))
    exponential = min(30.0, 0.5 * 2.0 ** min(failures - 1, 30))
    assert exponential / 2 <= wait_s <= 60.0


@pytest.mark.parametrize("state", ["loading", "unloaded", "sleeping"])
async def test_a_timeout_of_a_model_that_was_not_loaded_is_loading(bench: Bench, state: str) -> None:
    """Residency before the request decides."""
    bench.residency = FakeResidency([state, "loaded"])
    bench.endpoint = FakeEndpoint(failing(1, "timeout"))
    trial, verdict = await one(bench)
    assert (trial.fault, verdict.outcome) == ("loading", Outcome.LOADING)
    assert trial.load.before == state
    assert trial.load.loaded is True


async def test_a_timeout_is_loading_when_the_server_says_so_afterwards(bench: Bench) -> None:
    """The model was unloaded between status and request, or the server did not tell before."""
    bench.residency = FakeResidency(["unknown", "loading"])
    bench.endpoint = FakeEndpoint(failing(1, "timeout"))
    trial, _ = await one(bench)
    assert trial.fault == "loading"


async def test_a_timeout_of_a_loaded_model_is_a_timeout(bench: Bench) -> None:
    """Nothing speaks for loading."""
    bench.endpoint = FakeEndpoint(failing(1, "timeout"))
    trial, verdict = await one(bench)
    assert (trial.fault, verdict.outcome) == ("timeout", Outcome.TIMEOUT)
    assert trial.load.loaded is False


async def test_a_503_of_a_loaded_model_is_an_error_and_of_a_loading_one_is_loading(bench: Bench) -> None:
    """The status alone does not decide, residency does."""
    bench.endpoint = FakeEndpoint(failing(1, "server", status=503))
    trial, _ = await one(bench)
    assert trial.fault == "error"
    other = Bench(ledger=type(bench.ledger)(), suite=bench.suite, residency=FakeResidency(["loading"]))
    other.endpoint = FakeEndpoint(failing(1, "server", status=503))
    trial, _ = await one(other)
    assert trial.fault == "loading"


async def test_a_server_that_says_loading_is_believed(bench: Bench) -> None:
    """No residency needed."""
    bench.residency = FakeResidency(["unknown"])
    bench.endpoint = FakeEndpoint(failing(1, "loading", status=503))
    trial, _ = await one(bench)
    assert trial.fault == "loading"


async def test_a_first_reply_of_an_unloaded_model_counts_as_having_loaded_it(bench: Bench) -> None:
    """Success after a cold start: loaded is True for it and unknown for what follows."""
    bench.residency = FakeResidency(["sleeping", "loaded"])
    await run_once(make_spec(bench.suite), context=bench.context())
    loads = [trial.load for trial in bench.ledger.read(Trial)]
    assert (loads[0].before, loads[0].loaded) == ("sleeping", True)
    assert all(load.loaded is None for load in loads[1:])


async def test_residency_is_asked_again_after_a_failure_and_after_idle(bench: Bench) -> None:
    """Once before the first trial; then only when something has happened."""
    await run_once(make_spec(bench.suite), context=bench.context())
    assert bench.residency.asked == 1

    async def idle() -> None:
        bench.time.now_s += 61

    bench.endpoint = FakeEndpoint(before=idle)
    bench.residency = FakeResidency()
    await run_once(make_spec(bench.suite), context=bench.context())
    # A reply ends the idling: what counts is the time between a reply and the next request.
    assert bench.residency.asked == 1

    def progress(event: object) -> None:
        bench.time.now_s += 61

    bench.endpoint, bench.residency = FakeEndpoint(), FakeResidency()
    await run_once(make_spec(bench.suite), context=bench.context(progress=progress))
    assert bench.residency.asked == 1 + len(bench.suite.prompts) - 1


async def test_a_reply_cut_at_the_token_limit_without_a_call_is_truncated(bench: Bench) -> None:
    """finish_reason length and nothing complete."""
    bench.endpoint = FakeEndpoint(lambda request: ReplyContent(text="Let me think about", finish_reason="length"))
    trial, verdict = await one(bench)
    assert (trial.fault, verdict.outcome) == ("truncated", Outcome.TRUNCATED)


async def test_a_reply_cut_after_a_complete_call_is_judged_by_its_call(bench: Bench) -> None:
    """The call came before the limit did."""

    def answer(request: ChatRequest) -> ReplyContent:
        return call_reply("City0").model_copy(update={"finish_reason": "length"})

    bench.endpoint = FakeEndpoint(answer)
    _, verdict = await one(bench)
    assert verdict.outcome is Outcome.PASS


async def test_the_request_carries_the_specs_limits(bench: Bench) -> None:
    """Timeout, connect timeout, isolation and context size are those of the spec; the model is the server's name."""
    await one(bench, isolate=True, timeout_s=7.0, connect_timeout_s=2.0, context_size=2048)
    request = bench.endpoint.asked[0]
    assert (request.isolate, request.timeout_s, request.connect_timeout_s) == (True, 7.0, 2.0)
    assert (request.context_size, request.model) == (2048, "m")
    assert request.keep_alive_s is None


async def test_without_isolation_none_is_asked_for(bench: Bench) -> None:
    """Isolation costs the prompt cache; it is never asked for unbidden."""
    await one(bench)
    assert bench.endpoint.asked[0].isolate is False


@pytest.mark.parametrize("kind", ["auth", "not_found"])
async def test_what_would_befall_every_trial_ends_the_run_unscored(bench: Bench, kind: EndpointFault) -> None:
    """A wrong key or an unknown model is one clear error, no row of failures."""
    bench.endpoint = FakeEndpoint(failing(99, kind))
    with pytest.raises(EndpointError, match=kind):
        await run_once(make_spec(bench.suite), context=bench.context())
    assert list(bench.ledger.read(Trial)) == []
    (gone,) = bench.ledger.read(TrialAbandoned)
    assert kind in gone.reason


async def test_no_server_ends_the_run_at_once_and_a_dead_one_after_three_trials(bench: Bench) -> None:
    """Connection failures before any reply are no measurement; later ones are scored until they persist."""
    bench.endpoint = FakeEndpoint(failing(99, "connect"))
    with pytest.raises(EndpointError):
        await run_once(make_spec(bench.suite), context=bench.context())
    assert len(bench.endpoint.asked) == 1
    replies = [0]

    def dies(request: ChatRequest) -> ReplyContent | EndpointError:
        replies[0] += 1
        return right_answer(request) if replies[0] <= 2 else EndpointError("gone", kind="connect")

    bench.endpoint = FakeEndpoint(dies)
    with pytest.raises(EndpointError, match="gone"):
        await run_once(make_spec(bench.suite), context=bench.context())
    assert len(list(bench.ledger.read(Trial))) == 4


async def test_all_requests_of_a_stepwise_variant_are_kept(bench: Bench) -> None:
    """Choose, then fill: each request is an exchange of the one trial."""
    answers = iter(['{"tools": ["get_weather"]}', '{"city": "City0"}'])

    def answer(request: ChatRequest) -> ReplyContent:
        return ReplyContent(text=next(answers, "{}"), finish_reason="stop")

    bench.endpoint = FakeEndpoint(answer)
    variant = Variant(
        name="steps", tools="system_prompt", steps="choose_then_fill", constraint="json_schema", parsers=("native", "json")
    )
    trial, _ = await one(bench, variant=variant)
    assert len(trial.exchanges) == len(bench.endpoint.asked)
    assert trial.exchanges[0].step == "choose"
    assert (trial.usage.input_tokens or 0) == 20 * len(trial.exchanges)


def test_the_kits_suite_is_what_it_says() -> None:
    """Four prompts need a call, two do not."""
    suite = make_suite()
    assert [p.needs_call for p in suite.prompts] == [True] * 4 + [False] * 2
