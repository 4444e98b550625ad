"""Cold against warm, on the scripted endpoint whose residency is state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from selfopt.errors import EndpointError
from selfopt.ledger import MemoryLedger
from selfopt.measure.budget import Budget
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.warm_up_validation import validate_warm_up
from selfopt.records import (
    Blob,
    ChatRequest,
    Endpoint,
    Evaluation,
    Residency,
    Run,
    Spec,
    Trial,
    WarmUp,
    WarmUpExperiment,
    WarmUpResult,
)
from selfopt.residency import warm_up
from selfopt.scripted.endpoint import ScriptedEndpoint, ScriptedResidency
from selfopt.scripted.player import ScriptEngine
from selfopt.scripted.script import Script, ScriptedModel
from selfopt.words.findings import experiment_text
from tests.scripted.clock import ManualClock

from .kit import SCRIPTED, Bench, FakeEndpoint, make_spec, make_suite


async def load_first(
    endpoint: Endpoint, residency: Residency, model: str, request: ChatRequest, policy: WarmUp, clock: Any, /
) -> tuple[WarmUpResult, list[Blob]]:
    """The least warm-up: load and wait."""
    load_ms = await residency.load(model, policy.load_timeout_s)
    return WarmUpResult(status="complete", load_ms=load_ms), []


def scripted(load_s: float, **model: Any) -> tuple[Bench, Any]:
    """A scripted model that takes so long to load, all in manual time; silent, so that s-prompts pass when it is loaded."""
    clock = ManualClock()
    script = Script(models={"m": ScriptedModel(load_ms=load_s * 1000, latency_ms=50.0, **model)})
    engine = ScriptEngine(script, clock)
    bench = Bench(ledger=MemoryLedger(), suite=make_suite(0, 3))
    bench.endpoint = ScriptedEndpoint(SCRIPTED, engine)
    bench.residency = ScriptedResidency(SCRIPTED, engine)
    return bench, bench.context(clock=clock.now, sleep=clock.sleep, warm_up=load_first)


def spec_of(bench: Bench, timeout_s: float) -> Spec:
    """The silent suite under a timeout."""
    return make_spec(bench.suite, timeout_s=timeout_s)


async def test_each_cold_run_begins_unloaded_and_each_warm_one_loaded() -> None:
    """Interleaved arms: the first cold call waits for the load, the warm one does not."""
    bench, context = scripted(load_s=2.0)
    result = await validate_warm_up(spec_of(bench, 60.0), context=context, options=MeasureOptions(n_runs=3))
    assert result is not None
    assert result.forced_unload
    assert result.status == "complete"
    assert [run.residency_before for run in result.cold.runs] == ["unloaded"] * 3
    assert [run.unloaded for run in result.cold.runs] == [True] * 3
    assert [run.unloaded for run in result.warm.runs] == [None] * 3
    assert all(run.first_call_load.loaded for run in result.cold.runs)
    assert not any(run.first_call_load.loaded for run in result.warm.runs)
    assert result.first_call_before_ms == pytest.approx(2050, abs=5)
    assert result.first_call_after_ms == pytest.approx(50, abs=5)
    assert (result.before, result.after, result.improvement) == (1.0, 1.0, 0.0)
    purposes = [run.purpose for run in bench.ledger.read(Run)]
    assert sorted(purposes) == ["warm_up_cold"] * 3 + ["warm_up_warm"] * 3
    assert purposes[:2] == ["warm_up_cold", "warm_up_warm"]
    assert purposes[2:4] == ["warm_up_warm", "warm_up_cold"], "the arm that goes first changes"
    assert len(list(bench.ledger.read(Evaluation))) == 2


async def test_a_load_that_outlasts_two_runs_reads_ffppppp_and_warm_up_saves_it() -> None:
    """The specification's case: one unload per arm, loading outlasts two runs at the spec's timeout."""
    bench, context = scripted(load_s=5.5)
    result = await validate_warm_up(spec_of(bench, 1.0), context=context, unload="once_per_arm")
    assert result is not None
    assert set(result.cold.rows.values()) <= {"FFPPPPP", "FPPPPPP"}
    assert "FFPPPPP" in result.cold.rows.values()
    assert set(result.warm.rows.values()) == {"PPPPPPP"}
    assert result.before < result.after == 1.0
    assert result.improvement == pytest.approx(1.0 - result.before)
    assert result.variance_before > 0.0 == result.variance_after
    assert result.cold.accuracies[0] == 0.0
    statuses = [run.warm_up.status for run in result.warm.runs]
    assert statuses == ["complete"] + ["skipped"] * 6
    (cold,) = [e for e in bench.ledger.read(Evaluation) if not e.warm_up]
    assert cold.metrics.counts.keys() == {"loading", "pass"}


async def test_a_server_that_cannot_unload_is_reported() -> None:
    """Without a forced unload the cold arm was not cold, and the answer says so."""
    bench, context = scripted(load_s=1.0, can_unload=False)
    result = await validate_warm_up(spec_of(bench, 60.0), context=context, options=MeasureOptions(n_runs=1))
    assert result is not None
    assert result.forced_unload is False


async def test_an_unload_that_fails_is_told_and_counts_as_none(bench: Bench) -> None:
    """An error of the server is no end of the validation."""

    async def fail(model: str) -> bool:
        raise EndpointError("no", kind="server")

    bench.residency.unload = fail
    result = await validate_warm_up(make_spec(bench.suite), context=bench.context(), options=MeasureOptions(n_runs=1))
    assert result is not None
    assert result.forced_unload is False
    assert any("forced unload failed" in event.note for event in bench.events)


async def test_a_cap_stops_it_and_the_same_group_goes_on(bench: Bench) -> None:
    """Figures over what there is; then the rest."""
    options = MeasureOptions(n_runs=2, budget=Budget(max_trials=13), labels=Labels(group_id="g"))
    first = await validate_warm_up(make_spec(bench.suite), context=bench.context(), options=options)
    assert first is not None
    assert (first.status, len(first.cold.runs)) == ("stopped", 1)
    assert "max_trials" in (first.stop_reason or "")
    assert list(bench.ledger.read(Evaluation)) == []
    options = MeasureOptions(n_runs=2, labels=Labels(group_id="g"))
    second = await validate_warm_up(make_spec(bench.suite), context=bench.context(), options=options)
    assert second is not None
    assert (second.status, len(second.cold.runs), len(second.warm.runs)) == ("complete", 2, 2)
    assert len(bench.endpoint.asked) == 24


async def test_too_small_a_budget_gives_no_answer(bench: Bench) -> None:
    """Not even one run of each arm."""
    bench.endpoint = FakeEndpoint()
    options = MeasureOptions(n_runs=2, budget=Budget(max_trials=3))
    assert await validate_warm_up(make_spec(bench.suite), context=bench.context(), options=options) is None


async def test_the_real_warm_up_fits_the_seam_and_saves_the_first_call() -> None:
    """`selfopt.residency.warm_up` as it is: it loads, is recorded with its texts, and is never scored."""
    bench, context = scripted(load_s=2.0)
    context = replace(context, warm_up=warm_up)
    result = await validate_warm_up(spec_of(bench, 60.0), context=context, options=MeasureOptions(n_runs=2))
    assert result is not None
    assert all(run.warm_up.status == "complete" and run.warm_up.requests for run in result.warm.runs)
    assert result.first_call_after_ms < result.first_call_before_ms
    blobs = {blob.blob_hash for blob in bench.ledger.read(Blob)}
    assert all(blob_hash in blobs for run in result.warm.runs for blob_hash in run.warm_up.requests)
    assert len(list(bench.ledger.read(Trial))) == 12


async def test_four_runs_of_each_in_turn_are_an_experiment_that_is_kept() -> None:
    """A load that costs two seconds of the first call: confirmed for latency, in the ledger, with its runs."""
    bench, context = scripted(load_s=2.0)
    result = await validate_warm_up(spec_of(bench, 60.0), context=context, options=MeasureOptions(n_runs=4))
    assert result is not None
    found = result.experiment
    assert found is not None
    assert list(bench.ledger.read(WarmUpExperiment)) == [found]
    assert (found.cold_runs, found.warm_runs, found.unloads, found.conclusive) == (4, 4, 4, True)
    assert found.latency_confirmed
    assert not found.outcomes_confirmed
    assert experiment_text(found) == "confirmed for latency (first call 2050 -> 50 ms, 4 cold and 4 warm runs, p = 0.014)"
    assert set(found.run_ids) == {run.run_id for run in bench.ledger.read(Run)}


async def test_a_load_that_outlasts_the_timeout_is_confirmed_in_outcomes() -> None:
    """Every call of a cold run is given up; the prompts that a finding named are the ones tested."""
    bench, context = scripted(load_s=60.0)
    options = MeasureOptions(n_runs=4)
    result = await validate_warm_up(spec_of(bench, 1.0), context=context, options=options, suspected=("s1",))
    assert result is not None
    assert result.experiment is not None
    assert result.experiment.outcomes_confirmed
    assert result.experiment.tested == ("s1",)


async def test_arms_one_after_the_other_or_cut_off_are_no_experiment(bench: Bench) -> None:
    """What changed in between could have changed the outcomes."""
    once, context = scripted(load_s=2.0)
    options = MeasureOptions(n_runs=4)
    result = await validate_warm_up(spec_of(once, 60.0), context=context, options=options, unload="once_per_arm")
    assert result is not None
    assert result.experiment is None
    cut = MeasureOptions(n_runs=2, budget=Budget(max_trials=13))
    stopped = await validate_warm_up(make_spec(bench.suite), context=bench.context(), options=cut)
    assert stopped is not None
    assert stopped.experiment is None
    assert list(bench.ledger.read(WarmUpExperiment)) == []


async def test_a_server_that_cannot_unload_gives_no_proof() -> None:
    """The cold runs were not cold."""
    bench, context = scripted(load_s=1.0, can_unload=False)
    result = await validate_warm_up(spec_of(bench, 60.0), context=context, options=MeasureOptions(n_runs=4))
    assert result is not None
    assert result.experiment is not None
    assert not result.experiment.conclusive
    assert "known to have been unloaded before" in experiment_text(result.experiment)
