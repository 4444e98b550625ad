"""What the two arms of an interleaved validation prove."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.measure.reload_experiment import ReloadRuns, reload_experiment
from selfopt.records import WarmUpExperiment
from selfopt.stats import reload_log_bayes_factor
from selfopt.words.findings import experiment_text
from tests.feedback.world import evaluation

SLOW, FAST = [740.0, 750.0, 735.0, 760.0], [74.0, 75.0, 73.0, 80.0]


def experiment(
    cold: Sequence[str],
    warm: Sequence[str],
    *,
    unloads: int | None = None,
    cold_ms: Sequence[float] = FAST,
    warm_ms: Sequence[float] = FAST,
    suspected: tuple[str, ...] = (),
) -> WarmUpExperiment:
    """From letters: one row a prompt (P1, P2, ...), one letter a run."""
    runs = len(cold[0])
    return reload_experiment(
        ReloadRuns(evaluation(cold, number=1), list(cold_ms)[:runs], runs if unloads is None else unloads),
        ReloadRuns(evaluation(warm, number=2), list(warm_ms)[:runs]),
        asked=[f"P{n}" for n in range(1, len(cold) + 1)],
        suspected=suspected,
    )


def test_prompts_that_fail_right_after_each_unload_confirm_a_cold_start() -> None:
    """Whatever sort of failure: a timeout is what a load that outlasts it looks like."""
    found = experiment(["TTTT", "LLLL", "WWWW"], ["PPPP"] * 3)
    assert found.confirmed
    assert found.outcomes_confirmed
    assert not found.latency_confirmed
    assert [p.log_bayes_factor for p in found.prompts] == [reload_log_bayes_factor(0, 4, 4, 4)] * 3
    assert experiment_text(found).startswith("confirmed (Bayes factor ")
    assert "3 prompts, 4 cold and 4 warm runs" in experiment_text(found)
    assert found.log_bayes_factor > math.log(10)


def test_a_flaky_suite_confirms_nothing() -> None:
    """It passes and fails in both arms."""
    found = experiment(["PWPW", "WPPP", "PPWW"], ["PPWP", "WPWP", "PWPP"])
    assert found.conclusive
    assert not found.confirmed
    assert experiment_text(found).startswith("not confirmed (Bayes factor ")


def test_latency_alone_is_confirmed_by_its_own_figure() -> None:
    """Everything passes; the first calls after an unload lie apart from the warm ones, and clearly so."""
    found = experiment(["PPPP"] * 2, ["PPPP"] * 2, cold_ms=SLOW)
    assert found.latency_confirmed
    assert not found.outcomes_confirmed
    assert experiment_text(found) == "confirmed for latency (first call 745 -> 74 ms, 4 cold and 4 warm runs, p = 0.014)"
    overlapping = experiment(["PPPP"] * 2, ["PPPP"] * 2, cold_ms=[740.0, 70.0, 71.0, 760.0])
    assert not overlapping.latency_confirmed
    little = experiment(["PPPP"] * 2, ["PPPP"] * 2, cold_ms=[82.0, 83.0, 84.0, 85.0])
    assert little.first_call_p == pytest.approx(1 / 70)
    assert not little.latency_confirmed


@pytest.mark.parametrize(
    ("runs", "unloads", "words"), [(2, 2, "too few"), (3, 3, "too few"), (4, 3, "before 3 of 4 cold runs only")]
)
def test_too_few_runs_or_unloads_are_not_enough(runs: int, unloads: int, words: str) -> None:
    """However clear it looks; what is missing is said."""
    found = experiment(["T" * runs] * 6, ["P" * runs] * 6, unloads=unloads, cold_ms=SLOW)
    assert not found.conclusive
    assert not found.confirmed
    assert experiment_text(found).startswith("not confirmed yet: ")
    assert words in experiment_text(found)


def test_a_warm_up_that_breaks_what_worked_is_not_confirmed_by_a_faster_first_call() -> None:
    """The arms in each other's place would confirm a cold start."""
    found = experiment(["PPPP"] * 3, ["WWWW"] * 3, cold_ms=SLOW)
    assert found.harmed
    assert not found.confirmed
    assert "outcomes are worse when warm" in experiment_text(found)


def test_one_prompt_among_many_is_confirmed_when_a_finding_had_named_it() -> None:
    """Unnamed, it is one of twelve places where chance could have put it."""
    cold = ["PPPP"] * 6 + ["WWWW"] + ["PPPP"] * 5
    assert not experiment(cold, ["PPPP"] * 12).confirmed
    named = experiment(cold, ["PPPP"] * 12, suspected=("P7", "P99"))
    assert named.confirmed
    assert named.tested == ("P7",)
    assert len(named.prompts) == 12
    elsewhere = experiment(cold, ["PPPP"] * 12, suspected=("P99",))
    assert len(elsewhere.tested) == 12


@given(st.floats(-1e6, 1e6))
def test_any_bayes_factor_can_be_written(log_factor: float) -> None:
    """Also where a float would overflow; the words are recognised by their beginning and hold no semicolon."""
    found = experiment(["WWWW"], ["PPPP"]).model_copy(update={"log_bayes_factor": log_factor})
    assert math.log10(max(float(found.bayes_factor.partition("e")[0]), 1e-9)) < 4
    assert experiment_text(found).startswith(("confirmed", "not confirmed"))
    assert ";" not in experiment_text(found)


@pytest.mark.parametrize(
    ("log_factor", "text"),
    [(0.0, "1"), (math.log(0.031), "0.031"), (math.log(320), "320"), (math.log(4.1e27), "4.1e+27"), (-20.0, "2.1e-09")],
)
def test_a_bayes_factor_is_written_with_two_digits(log_factor: float, text: str) -> None:
    """Small and large ones with a power of ten."""
    assert experiment(["WWWW"], ["PPPP"]).model_copy(update={"log_bayes_factor": log_factor}).bayes_factor == text
