"""Supervision: n runs, warm-up, resume, budget, heartbeat, cancellation."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from selfopt.errors import EndpointError, StoreError, SuiteError
from selfopt.measure.budget import Budget
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.supervisor import supervise
from selfopt.records import (
    Blob,
    ChatRequest,
    Environment,
    Evaluation,
    Ledger,
    Outcome,
    Record,
    ReplyContent,
    Run,
    RunEnd,
    Spec,
    Trial,
    TrialAbandoned,
    TrialStart,
    Verdict,
    WarmUp,
)

from .kit import Bench, FakeEndpoint, FakeResidency, call_reply, make_spec, make_suite, right_answer, run_once


def passes_of(ledger: Ledger) -> Counter[tuple[str | None, str, int, str]]:
    """How often each prompt of each pass has a committed trial."""
    runs = {run.run_id: run for run in ledger.read(Run)}
    return Counter((runs[t.run_id].group_id, runs[t.run_id].purpose, t.run_index, t.prompt_id) for t in ledger.read(Trial))


def no_loose_ends(ledger: Ledger) -> None:
    """Every started trial is committed or abandoned, every run has its end."""
    started = {s.trial_id for s in ledger.read(TrialStart)}
    committed = {t.trial_id for t in ledger.read(Trial)}
    abandoned = {a.trial_id for a in ledger.read(TrialAbandoned)}
    assert started == committed | abandoned
    assert not committed & abandoned
    assert {e.run_id for e in ledger.read(RunEnd)} == {r.run_id for r in ledger.read(Run)}


async def test_seven_runs_make_rows_of_seven(ledger: Ledger) -> None:
    """The default: n = 7, everything committed with a verdict, one evaluation kept."""
    bench = Bench(ledger=ledger, suite=make_suite())
    result = await supervise(make_spec(bench.suite), context=bench.context())
    assert result.status == "complete"
    assert result.trials == 42
    evaluation = result.evaluation
    assert evaluation is not None
    assert {row.letters for row in evaluation.rows} == {"PPPPPPP"}
    assert (evaluation.n_runs, evaluation.determinism, evaluation.metrics.accuracy) == (7, "complete", 1.0)
    assert list(ledger.read(Evaluation)) == [evaluation]
    assert len(list(ledger.read(Verdict))) == 42
    no_loose_ends(ledger)


async def test_a_trial_is_one_append_with_the_start_of_the_next(bench: Bench) -> None:
    """Blobs, trial, verdict and the slot's next start are durable together."""
    appended: list[list[str]] = []
    original = bench.ledger.append

    async def watching(records: Any) -> None:
        appended.append([type(r).__name__ for r in records])
        await original(records)

    bench.ledger.append = watching  # type: ignore[method-assign]
    await run_once(make_spec(bench.suite), context=bench.context())
    assert appended[0] == ["Spec", "Environment", "Run", "TrialStart"]
    assert appended[1:6] == [["Blob", "Blob", "Blob", "Trial", "Verdict", "TrialStart"]] * 5
    assert appended[6] == ["Blob", "Blob", "Blob", "Trial", "Verdict"]
    assert appended[7:] == [["RunEnd"], ["Evaluation"]]


async def test_warm_up_comes_before_the_first_run_only(bench: Bench) -> None:
    """run_idx == 0 is warmed up with the suite's tools, the others are not."""
    spec = make_spec(bench.suite, warm_up=WarmUp(enabled=True))
    result = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3))
    (request,) = bench.warm_ups.requests
    assert request.tools
    assert request.keep_alive_s is not None
    assert "2+2" in request.messages[-1].content
    assert [run.warm_up.status for run in bench.ledger.read(Run)] == ["complete", "skipped", "skipped"]
    assert result.warm_up.status == "complete"
    assert next(iter(bench.ledger.read(Blob, {"id": result.warm_up.requests[0]}))).text == "warm-up request"
    assert len(list(bench.ledger.read(Trial))) == 18


async def test_without_warm_up_nothing_is_warmed(bench: Bench) -> None:
    """The off switch."""
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=2))
    assert bench.warm_ups.requests == []
    assert result.warm_up.status == "off"


async def test_a_model_that_was_unloaded_between_runs_is_warmed_again_and_that_is_recorded(bench: Bench) -> None:
    """Residency is checked before each run."""
    bench.residency = FakeResidency(["unloaded", "loaded", "sleeping", "loaded", "loaded"])
    spec = make_spec(bench.suite, warm_up=WarmUp(enabled=True))
    await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3))
    first, again, last = (run.warm_up for run in bench.ledger.read(Run))
    assert (first.status, again.status, last.status) == ("complete", "complete", "skipped")
    assert "again" not in first.reason
    assert again.reason.startswith("warmed up again: the model was sleeping")
    assert last.reason == "not the first run; the model is loaded"
    assert len(bench.warm_ups.requests) == 2


async def test_a_trial_cap_stops_with_a_reason_and_the_same_call_goes_on(ledger: Ledger) -> None:
    """max_trials is never exceeded; the group is continued, no trial is repeated."""
    bench = Bench(ledger=ledger, suite=make_suite())
    spec = make_spec(bench.suite)
    options = MeasureOptions(n_runs=3, budget=Budget(max_trials=8))
    first = await supervise(spec, context=bench.context(), options=options)
    assert (first.status, first.trials) == ("stopped", 8)
    assert "max_trials = 8" in (first.stop_reason or "")
    assert first.evaluation is not None
    assert first.evaluation.n_runs == 1
    assert list(ledger.read(Evaluation)) == []
    second = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3))
    assert (second.status, second.trials, second.resumed) == ("complete", 10, 8)
    assert second.group_id == first.group_id
    assert set(passes_of(ledger).values()) == {1}
    assert second.evaluation is not None
    assert second.evaluation.n_runs == 3
    no_loose_ends(ledger)


@pytest.mark.parametrize(
    ("budget", "price", "word"),
    [
        (Budget(max_tokens=60), 0.0, "max_tokens"),
        (Budget(max_cost=0.5), 0.2, "max_cost"),
        (Budget(max_cost=0.5), None, "price"),
        (Budget(max_minutes=0.0), 0.0, "max_minutes"),
    ],
)
async def test_every_cap_stops_with_its_name(bench: Bench, budget: Budget, price: float | None, word: str) -> None:
    """Tokens, cost, unknown prices, minutes."""
    bench.price = price
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(budget=budget))
    assert result.status == "stopped"
    assert word in (result.stop_reason or "")
    assert result.trials <= 3


async def test_slots_are_used_at_once_and_the_cap_holds(bench: Bench) -> None:
    """Three slots: three requests under way, never more, and max_trials counts those in flight."""
    bench.slots = 3
    under_way, most = 0, 0

    async def busy() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        under_way -= 1

    bench.endpoint = FakeEndpoint(before=busy)
    options = MeasureOptions(n_runs=2, budget=Budget(max_trials=7))
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=options)
    assert most == 3
    assert result.trials == 7
    assert len(bench.endpoint.asked) == 7
    assert {t.slot for t in bench.ledger.read(Trial)} == {0, 1, 2}
    no_loose_ends(bench.ledger)


async def test_a_cancelled_supervision_is_resumable(ledger: Ledger) -> None:
    """Ctrl-C in mid-trial: the run is interrupted, the trial abandoned, and the next call continues."""
    bench = Bench(ledger=ledger, suite=make_suite(), slots=2)
    reached = asyncio.Event()

    async def hang() -> None:
        if len(bench.endpoint.asked) >= 9:
            reached.set()
            await asyncio.Event().wait()

    bench.endpoint = FakeEndpoint(before=hang)
    spec = make_spec(bench.suite)
    task = asyncio.create_task(supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3)))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    no_loose_ends(ledger)
    assert "interrupted" in {e.status for e in ledger.read(RunEnd)}
    committed = len(list(ledger.read(Trial)))
    bench.endpoint = FakeEndpoint()
    result = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3))
    assert result.resumed == committed
    assert result.trials == 18 - committed
    assert set(passes_of(ledger).values()) == {1}
    assert len(list(ledger.read(TrialAbandoned))) <= 2


class DyingLedger:
    """A ledger whose process dies at the n-th append: that one and all later ones never happen."""

    def __init__(self, inner: Ledger, lives: int) -> None:
        self._inner = inner
        self.lives = lives
        self.read = inner.read
        self.close = inner.close

    async def append(self, records: Any) -> None:
        if self.lives <= 0:
            raise StoreError("no space left on device")
        self.lives -= 1
        await self._inner.append(records)


@pytest.mark.parametrize("lives", range(0, 24, 2))
async def test_wherever_appending_ends_a_resume_continues(ledger: Ledger, lives: int) -> None:
    """A full disk at any append: StoreError to the caller, and then no committed trial is lost or repeated."""
    bench = Bench(ledger=ledger, suite=make_suite())
    spec = make_spec(bench.suite)
    options = MeasureOptions(n_runs=3)
    with pytest.raises(StoreError):
        await supervise(spec, context=bench.context(ledger=DyingLedger(ledger, lives)), options=options)
    committed = {t.trial_id for t in ledger.read(Trial)}
    result = await supervise(spec, context=bench.context(), options=options)
    assert result.status == "complete"
    assert committed <= {t.trial_id for t in ledger.read(Trial)}
    assert set(passes_of(ledger).values()) == {1}
    assert len(passes_of(ledger)) == 18
    assert result.abandoned <= 1
    no_loose_ends(ledger)


async def test_a_concluded_group_is_not_continued(bench: Bench) -> None:
    """The same command again measures again."""
    spec = make_spec(bench.suite)
    options = MeasureOptions(n_runs=2)
    first = await supervise(spec, context=bench.context(), options=options)
    second = await supervise(spec, context=bench.context(), options=options)
    assert first.group_id != second.group_id
    assert second.trials == 12


async def test_another_environment_is_not_continued(bench: Bench) -> None:
    """A model that was replaced on the server in between starts anew."""
    bench.residency = FakeResidency(extra={"digest": "one"})
    spec = make_spec(bench.suite)
    options = MeasureOptions(n_runs=2, budget=Budget(max_trials=3))
    await supervise(spec, context=bench.context(), options=options)
    bench.residency = FakeResidency(extra={"digest": "two"})
    second = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=2))
    assert second.resumed == 0
    assert len(list(bench.ledger.read(Environment))) == 2


async def test_a_server_that_tells_less_before_loading_is_the_same_environment(bench: Bench) -> None:
    """Unknown is no difference: the evaluation names the fuller one."""
    bench.residency = FakeResidency()
    spec = make_spec(bench.suite)
    options = MeasureOptions(n_runs=2, budget=Budget(max_trials=3))
    await supervise(spec, context=bench.context(), options=options)
    bench.residency = FakeResidency(extra={"digest": "one", "slots": 2})
    second = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=2))
    assert second.resumed == 3
    assert second.evaluation is not None
    (environment,) = bench.ledger.read(Environment, {"id": second.evaluation.environment_id})
    assert environment.digest == "one"


async def test_labels_are_in_every_run(bench: Bench) -> None:
    """What the user asked for, and by which rule and flags it was changed."""
    labels = Labels(requested_model="scripted/other", rule_id="rule-1", forced=True, overrides=("timeout",))
    await run_once(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(labels=labels))
    (run,) = bench.ledger.read(Run)
    assert (run.requested_model, run.model, run.rule_id) == ("scripted/other", "scripted/m", "rule-1")
    assert (run.forced, run.overrides) == (True, ("timeout",))


async def test_heartbeats_come_while_a_model_is_silent(bench: Bench) -> None:
    """A hanging reply does not make the supervisor mute; the event names prompt and progress."""
    beats = 0
    enough = asyncio.Event()

    async def hang() -> None:
        await enough.wait()

    def progress(event: Any) -> None:
        nonlocal beats
        bench.events.append(event)
        beats += event.kind == "heartbeat"
        if beats >= 3:
            enough.set()

    bench.endpoint = FakeEndpoint(before=hang)
    context = bench.context(progress=progress, heartbeat_s=0.001)
    await run_once(make_spec(bench.suite), context=context, options=MeasureOptions(limit=2))
    beat = next(e for e in bench.events if e.kind == "heartbeat")
    assert (beat.prompt_id, beat.done, beat.total) == ("c0", 0, 2)
    assert bench.events[-1].kind == "run_ended"
    assert bench.events[-1].done == 2
    assert [e.outcome for e in bench.events if e.kind == "trial"] == [Outcome.PASS] * 2


async def test_another_suite_than_the_specs_is_refused(bench: Bench) -> None:
    """The content hash decides, not the name."""
    with pytest.raises(SuiteError, match="restore the suite as it was"):
        await supervise(make_spec(make_suite(2, 1)), context=bench.context())


async def test_an_empty_split_is_refused(bench: Bench) -> None:
    """Nothing to ask is a usage error, no empty run."""
    with pytest.raises(SuiteError, match="no prompt in split"):
        await supervise(make_spec(bench.suite, split="canary"), context=bench.context())


async def test_an_error_for_all_leaves_a_resumable_group(bench: Bench) -> None:
    """A wrong key in mid-run ends it; with the right one it goes on."""
    spec = make_spec(bench.suite)

    def expires(request: ChatRequest) -> ReplyContent | EndpointError:
        if len(bench.endpoint.asked) > 4:
            return EndpointError("key expired", kind="auth")
        return right_answer(request)

    bench.endpoint = FakeEndpoint(expires)
    with pytest.raises(EndpointError, match="key expired"):
        await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=2))
    no_loose_ends(bench.ledger)
    bench.endpoint = FakeEndpoint()
    result = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=2))
    assert result.resumed == 4
    assert result.evaluation is not None


async def test_a_spec_stored_under_another_variant_name_is_the_same_spec(bench: Bench) -> None:
    """Names take no part: measuring it again is no conflict in the ledger."""
    one = make_spec(bench.suite)
    renamed = one.variant.model_copy(update={"name": "other"})
    await run_once(one, context=bench.context())
    await run_once(make_spec(bench.suite, variant=renamed), context=bench.context())
    assert len(list(bench.ledger.read(Spec))) == 1


def test_records_are_records() -> None:
    """The kit's reply is what the scorer reads."""
    assert isinstance(call_reply("x"), Record)
