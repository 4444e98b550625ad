"""Several specs: interleaving, sharing, determinism sampling, reuse, resume."""

from __future__ import annotations

import itertools

from selfopt.errors import EndpointError
from selfopt.ledger import MemoryLedger
from selfopt.measure.blocks import measure_specs
from selfopt.measure.budget import Budget, BudgetMeter
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions, Reuse
from selfopt.records import (
    ChatRequest,
    Evaluation,
    Outcome,
    ReplyContent,
    Run,
    Sampling,
    Spec,
    ToolCall,
    Trial,
    Variant,
    Verdict,
)

from .kit import Bench, FakeEndpoint, FakeResidency, make_spec, make_suite, right_answer

JSON_CALL = '```json\n{"name": "get_weather", "arguments": {"city": "City0"}}\n```'


def flaky(every: int) -> FakeEndpoint:
    """Says nothing at each n-th request."""
    counter = itertools.count(1)

    def answer(request: ChatRequest) -> ReplyContent:
        return ReplyContent(text="Hm.", finish_reason="stop") if next(counter) % every == 0 else right_answer(request)

    return FakeEndpoint(answer)


async def test_a_deterministic_spec_is_measured_once_and_sampled_in_isolation(bench: Bench) -> None:
    """One pass, then four seeded prompts in isolation: they agree, so it is not repeated."""
    spec = make_spec(bench.suite)
    (evaluation,) = (await measure_specs([spec], context=bench.context())).values()
    assert (evaluation.determinism, evaluation.n_runs) == ("sampled", 1)
    assert len(bench.endpoint.asked) == 6 + 4
    assert [r.isolate for r in bench.endpoint.asked] == [False] * 6 + [True] * 4
    assert [r.purpose for r in bench.ledger.read(Run)] == ["measure", "determinism"]
    assert evaluation.metrics.n == 6
    assert len(evaluation.determinism_run_ids) == 1
    assert bench.events[-1].done == bench.events[-1].total == 10
    assert {e.total for e in bench.events} == {10}, "repeats that are probably needless are not announced"


async def test_what_is_drawn_anew_is_repeated_though_its_replies_agree(bench: Bench) -> None:
    """Agreement would be luck, so no sample is taken; every repeat is asked for and kept as a trial of its own."""
    variant = Variant(name="hot", sampling=Sampling(temperature=0.7, seed=None))
    (evaluation,) = (await measure_specs([make_spec(bench.suite, variant=variant)], context=bench.context())).values()
    assert (evaluation.determinism, evaluation.n_runs) == ("stochastic", 7)
    assert {run.purpose for run in bench.ledger.read(Run)} == {"measure"}
    assert len({trial.trial_id for trial in bench.ledger.read(Trial)}) == len(bench.endpoint.asked) == 42
    assert {(r.sampling.temperature, r.sampling.seed) for r in bench.endpoint.asked} == {(0.7, None)}
    assert {e.total for e in bench.events} == {42}


async def test_a_spec_whose_outcomes_change_is_measured_seven_times(bench: Bench) -> None:
    """The sample disagrees in outcome."""
    bench.endpoint = flaky(7)
    (evaluation,) = (await measure_specs([make_spec(bench.suite)], context=bench.context())).values()
    assert (evaluation.determinism, evaluation.n_runs) == ("stochastic", 7)
    assert evaluation.metrics.n == 42
    assert (bench.events[0].total, bench.events[-1].total, bench.events[-1].done) == (10, 46, 46)


async def test_same_outcome_with_other_calls_is_not_deterministic(bench: Bench) -> None:
    """Outcome alone does not do: the calls must agree too."""
    counter = itertools.count()

    def answer(request: ChatRequest) -> ReplyContent:
        call = ToolCall(name="get_weather", arguments={"city": f"Nowhere{next(counter)}"})
        return ReplyContent(tool_calls=(call,), finish_reason="tool_calls")

    bench.endpoint = FakeEndpoint(answer)
    options = MeasureOptions(n_runs=3, sampling=True)
    (evaluation,) = (await measure_specs([make_spec(bench.suite)], context=bench.context(), options=options)).values()
    assert (evaluation.determinism, evaluation.n_runs) == ("stochastic", 3)
    assert set(evaluation.metrics.counts) == {Outcome.WRONG, Outcome.UNCALLED_FOR}


async def test_call_ids_take_no_part_in_agreement(bench: Bench) -> None:
    """Servers draw them at random."""
    counter = itertools.count()

    def answer(request: ChatRequest) -> ReplyContent:
        call = ToolCall(name="get_weather", arguments={"city": "x"}, id=f"call_{next(counter)}")
        return ReplyContent(tool_calls=(call,), finish_reason="tool_calls")

    bench.endpoint = FakeEndpoint(answer)
    (evaluation,) = (await measure_specs([make_spec(bench.suite)], context=bench.context())).values()
    assert evaluation.determinism == "sampled"


async def test_a_cold_start_is_never_taken_for_determinism(bench: Bench) -> None:
    """Where a server had a hand in the first pass no sample is taken: rows of all runs are needed to see it."""
    counter = itertools.count()

    def answer(request: ChatRequest) -> ReplyContent | EndpointError:
        return EndpointError("slow", kind="timeout") if next(counter) < 2 else right_answer(request)

    bench.endpoint = FakeEndpoint(answer)
    bench.residency = FakeResidency(["unloaded", "loading", "loading", "loaded"])
    (evaluation,) = (await measure_specs([make_spec(bench.suite)], context=bench.context())).values()
    assert evaluation.determinism == "stochastic"
    assert [row.letters for row in evaluation.rows[:3]] == ["FPPPPPP", "FPPPPPP", "PPPPPPP"]
    assert evaluation.rows[0].loaded[0] is True
    assert all(not r.isolate for r in bench.endpoint.asked)
    assert bench.events[-1].done == bench.events[-1].total == 42


async def test_without_sampling_every_spec_gets_all_its_runs(bench: Bench) -> None:
    """The switch."""
    options = MeasureOptions(n_runs=2, sampling=False)
    (evaluation,) = (await measure_specs([make_spec(bench.suite)], context=bench.context(), options=options)).values()
    assert (evaluation.determinism, evaluation.n_runs) == ("complete", 2)


async def test_specs_are_interleaved_block_by_block(bench: Bench) -> None:
    """Between two passes of one spec every other spec that still wants one has its own."""
    specs = [make_spec(bench.suite, model=f"scripted/m{i}") for i in range(3)]
    found = await measure_specs(specs, context=bench.context(), options=MeasureOptions(n_runs=8, sampling=False))
    assert list(found) == [s.spec_id for s in specs]
    runs = list(bench.ledger.read(Run))
    blocks = [runs[i : i + 3] for i in range(0, 24, 3)]
    assert all({r.model for r in block} == {"scripted/m0", "scripted/m1", "scripted/m2"} for block in blocks)
    assert all({r.run_index for r in block} == {i} for i, block in enumerate(blocks))
    assert len({tuple(r.model for r in block) for block in blocks}) > 1, "the order within a block is shuffled"


async def test_one_slot_keeps_the_suites_order_and_several_shuffle_it(bench: Bench) -> None:
    """Prompt prefixes are cached on an engine with one slot; elsewhere order must not matter."""
    suite = make_suite(12, 4)
    wanted = tuple(p.id for p in suite.prompts)
    for slots, kept in ((1, True), (2, False)):
        other = Bench(ledger=MemoryLedger(), suite=suite, slots=slots)
        await measure_specs([make_spec(suite)], context=other.context(), options=MeasureOptions(n_runs=2, sampling=False))
        runs = list(other.ledger.read(Run))
        assert all((run.prompt_ids == wanted) is kept for run in runs)
        assert (runs[0].prompt_ids == runs[1].prompt_ids) is kept


async def test_specs_that_differ_in_the_parser_share_their_trials(bench: Bench) -> None:
    """No request is made twice for another parser chain; each spec has its own verdicts."""
    bench.endpoint = FakeEndpoint(lambda request: ReplyContent(text=JSON_CALL, finish_reason="stop"))
    native = make_spec(bench.suite)
    parsed = make_spec(bench.suite, variant=Variant(name="native_parsed", parsers=("native", "json")))
    assert native.request_id == parsed.request_id
    found = await measure_specs([native, parsed], context=bench.context())
    assert len(bench.endpoint.asked) == 10
    one, other = found[native.spec_id], found[parsed.spec_id]
    assert {row.trial_ids for row in one.rows} == {row.trial_ids for row in other.rows}
    assert one.metrics.counts == {Outcome.UNPARSED: 6}
    assert other.metrics.counts == {Outcome.PASS: 1, Outcome.WRONG: 3, Outcome.UNCALLED_FOR: 2}
    assert {v.parser_hash for v in bench.ledger.read(Verdict)} == {native.variant.parser_hash, parsed.variant.parser_hash}
    assert {spec.spec_id for spec in bench.ledger.read(Spec)} == found.keys(), "each evaluation leads to what was measured"


async def test_a_cycle_is_resumed_without_repeating_a_trial(bench: Bench) -> None:
    """The same call with the same cycle_id goes on where a cap ended it; the meter says why it ended."""
    specs = [make_spec(bench.suite), make_spec(bench.suite, model="scripted/other")]
    labels = Labels(cycle_id="cycle-1")
    meter = BudgetMeter(Budget(max_trials=15), bench.time.clock)
    options = MeasureOptions(n_runs=2, sampling=False, labels=labels, meter=meter)
    partial = await measure_specs(specs, context=bench.context(), options=options)
    assert "max_trials" in (meter.stop_reason or "")
    assert meter.trials == len(bench.endpoint.asked) == 15
    assert all(e.n_runs == 1 for e in partial.values())
    again = MeasureOptions(n_runs=2, sampling=False, labels=labels)
    whole = await measure_specs(specs, context=bench.context(), options=again)
    assert [e.n_runs for e in whole.values()] == [2, 2]
    assert {e.cycle_id for e in whole.values()} == {"cycle-1"}
    assert len(list(bench.ledger.read(Trial))) == 24
    third = await measure_specs(specs, context=bench.context(), options=again)
    assert third == whole
    assert len(bench.endpoint.asked) == 24


async def test_a_finished_evaluation_is_reused_only_when_allowed(bench: Bench) -> None:
    """reuse=True, same spec, same environment, and none of its runs excluded."""
    bench.residency = FakeResidency(extra={"digest": "d"})
    spec = make_spec(bench.suite)
    first = await measure_specs([spec], context=bench.context())
    reuse = MeasureOptions(reuse=Reuse(enabled=True), sampling=True)
    assert await measure_specs([spec], context=bench.context(), options=reuse) == first
    assert len(bench.endpoint.asked) == 10
    excluded = Reuse(enabled=True, exclude_run_ids=frozenset(first[spec.spec_id].run_ids))
    second = await measure_specs([spec], context=bench.context(), options=MeasureOptions(reuse=excluded, sampling=True))
    assert second != first
    assert len(bench.endpoint.asked) == 20
    bench.residency = FakeResidency(extra={"digest": "another"})
    await measure_specs([spec], context=bench.context(), options=reuse)
    assert len(bench.endpoint.asked) == 30
    await measure_specs([spec], context=bench.context())
    assert len(bench.endpoint.asked) == 40


async def test_a_new_parser_is_judged_on_old_trials_when_reuse_is_allowed(bench: Bench) -> None:
    """A parser-only candidate of a later cycle costs no request."""
    bench.endpoint = FakeEndpoint(lambda request: ReplyContent(text=JSON_CALL, finish_reason="stop"))
    bench.residency = FakeResidency(extra={"digest": "d"})
    await measure_specs([make_spec(bench.suite)], context=bench.context())
    parsed = make_spec(bench.suite, variant=Variant(name="native_parsed", parsers=("native", "json")))
    options = MeasureOptions(reuse=Reuse(enabled=True), labels=Labels(cycle_id="c2"), sampling=True)
    (evaluation,) = (await measure_specs([parsed], context=bench.context(), options=options)).values()
    assert len(bench.endpoint.asked) == 10
    assert (evaluation.spec_id, evaluation.cycle_id, evaluation.determinism) == (parsed.spec_id, "c2", "sampled")
    assert evaluation.metrics.counts[Outcome.PASS] == 1
    assert evaluation in list(bench.ledger.read(Evaluation))
    assert parsed in list(bench.ledger.read(Spec))


async def test_evidence_on_an_endpoint_that_hides_its_model_expires(bench: Bench) -> None:
    """Without a digest an evaluation of yesterday is no evidence of today."""
    spec = make_spec(bench.suite)
    await measure_specs([spec], context=bench.context(now=lambda: "2026-01-01T00:00:00.000Z"))
    options = MeasureOptions(reuse=Reuse(enabled=True), sampling=True)
    await measure_specs([spec], context=bench.context(now=lambda: "2026-01-01T12:00:00.000Z"), options=options)
    assert len(bench.endpoint.asked) == 10
    await measure_specs([spec], context=bench.context(now=lambda: "2026-01-03T00:00:00.000Z"), options=options)
    assert len(bench.endpoint.asked) == 20


async def test_the_same_spec_twice_is_measured_once(bench: Bench) -> None:
    """A candidate list may hold the baseline again."""
    spec = make_spec(bench.suite)
    found = await measure_specs([spec, Spec.model_validate(spec.model_dump())], context=bench.context())
    assert len(found) == 1
    assert len(bench.endpoint.asked) == 10
