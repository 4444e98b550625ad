"""Evaluations: rows in the order of time, determinism, metrics from the ledger alone."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.ledger import MemoryLedger
from selfopt.measure.context import Labels
from selfopt.measure.evaluate import EvaluationRequest, evaluate
from selfopt.measure.options import MeasureOptions
from selfopt.measure.supervisor import supervise
from selfopt.records import ChatRequest, ReplyContent, Run, Sampling, Trial, Variant

from .kit import Bench, FakeEndpoint, FakeResidency, make_spec, make_suite, right_answer


@settings(max_examples=30, deadline=None)
@given(
    letters=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6),
    order=st.sampled_from(["file", "shuffled"]),
    slots=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_rows_read_in_the_order_of_time(letters: list[list[bool]], order: str, slots: int, seed: int) -> None:
    """Whatever the order within a pass, the slots, and the order in which runs are named: letter i is pass i."""

    async def go() -> None:
        suite = make_suite(3, 0)
        bench = Bench(ledger=MemoryLedger(), suite=suite, slots=slots)
        seen: dict[str, int] = {}

        def answer(request: ChatRequest) -> ReplyContent:
            text = request.messages[-1].content
            index = seen[text] = seen.get(text, -1) + 1
            city = int(text.removeprefix("weather of City").removesuffix("?"))
            return right_answer(request) if letters[index][city] else ReplyContent(text="no", finish_reason="stop")

        bench.endpoint = FakeEndpoint(answer)
        options = MeasureOptions(n_runs=len(letters), order=order)  # type: ignore[arg-type]
        result = await supervise(make_spec(suite), context=bench.context(), options=options)
        assert result.evaluation is not None
        wanted = {f"c{i}": "".join("P" if one[i] else "F" for one in letters) for i in range(3)}
        assert {row.prompt_id: row.letters for row in result.evaluation.rows} == wanted
        assert [row.prompt_id for row in result.evaluation.rows] == ["c0", "c1", "c2"]
        shuffled = list(result.run_ids)
        random.Random(seed).shuffle(shuffled)
        again = await evaluate(bench.ledger, EvaluationRequest(make_spec(suite), suite, shuffled))
        assert again == result.evaluation
        first = {t.prompt_id for t in bench.ledger.read(Trial) if t.position == 0 and t.run_index == 0}
        assert len(first) == 1
        assert result.evaluation.metrics.run_accuracies == tuple(sum(one) / 3 for one in letters)

    asyncio.run(go())


async def test_the_first_call_of_each_run_is_the_one_asked_first(bench: Bench) -> None:
    """first_call_ms is the median over runs of the first scored request."""
    bench.slots = 1

    def answer(request: ChatRequest) -> ReplyContent:
        bench.endpoint.latency_ms = 500.0 if len(bench.endpoint.asked) % 6 == 1 else 10.0
        return right_answer(request)

    bench.endpoint = FakeEndpoint(answer)
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=3))
    assert result.evaluation is not None
    assert result.evaluation.metrics.first_call_ms == 500.0
    assert result.evaluation.metrics.p50_ms == 10.0


async def test_what_was_just_measured_evaluates_as_what_is_read_back(bench: Bench) -> None:
    """The trials that a supervision still has in hand give the same figures and rows as those in the ledger."""
    spec = make_spec(bench.suite)
    result = await supervise(spec, context=bench.context(), options=MeasureOptions(n_runs=3))
    # Another cycle is another evaluation: this one is made anew, from the ledger alone.
    again = await evaluate(bench.ledger, EvaluationRequest(spec, bench.suite, result.run_ids, (), "another"))
    assert again is not None
    assert result.evaluation is not None
    left_out = {"evaluation_id", "cycle_id", "at"}
    assert again.model_dump(exclude=left_out) == result.evaluation.model_dump(exclude=left_out)


async def test_passes_of_another_environment_are_left_out(bench: Bench) -> None:
    """A model that changed between two passes of one group does not mix into one figure."""
    spec = make_spec(bench.suite)
    options = MeasureOptions(n_runs=1, labels=Labels(group_id="g"))
    bench.residency = FakeResidency(extra={"digest": "one"})
    await supervise(spec, context=bench.context(), options=options)
    bench.residency = FakeResidency(extra={"digest": "two"})
    options = MeasureOptions(n_runs=2, labels=Labels(group_id="g"))
    result = await supervise(spec, context=bench.context(), options=options)
    assert result.evaluation is not None
    assert result.evaluation.n_runs == 1
    runs = list(bench.ledger.read(Run))
    assert result.evaluation.run_ids == (runs[1].run_id,)


async def test_sampling_without_a_seed_is_never_deterministic(bench: Bench) -> None:
    """Agreement of two draws is no proof."""
    variant = Variant(name="hot", sampling=Sampling(temperature=0.7, seed=None))
    options = MeasureOptions(n_runs=2)
    result = await supervise(make_spec(bench.suite, variant=variant), context=bench.context(), options=options)
    assert result.evaluation is not None
    assert result.evaluation.determinism == "stochastic"


async def test_trivial_policies_stand_beside_the_figures(bench: Bench) -> None:
    """The mute model's accuracy is the share of prompts that need nothing."""
    options = MeasureOptions(n_runs=1)
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=options)
    assert result.evaluation is not None
    assert result.evaluation.metrics.silent.accuracy == 2 / 6
    assert result.evaluation.metrics.silent.restraint == 1.0
    assert result.evaluation.determinism == "unknown"


async def test_without_a_complete_pass_there_is_no_evaluation(bench: Bench) -> None:
    """Nothing is a value of its own."""
    assert await evaluate(bench.ledger, EvaluationRequest(make_spec(bench.suite), bench.suite, ())) is None


async def test_rows_say_how_long_a_load_took_and_which_format_nobody_read(bench: Bench) -> None:
    """What the trial and the verdict know of a cell is in the row: load_ms and the unread format."""
    reply = ReplyContent(
        text='<tool_call>{"name": "get_weather", "arguments": {"city": "City0"}}</tool_call>', finish_reason="stop"
    )
    bench.endpoint = FakeEndpoint(lambda request: reply)
    result = await supervise(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=2))
    assert result.evaluation is not None
    trials = {t.trial_id: t for t in bench.ledger.read(Trial)}
    for row in result.evaluation.rows:
        assert row.load_ms == tuple(trials[i].load.load_ms for i in row.trial_ids)
        assert len(row.unread) == 2
    assert any(name is not None for row in result.evaluation.rows for name in row.unread)
