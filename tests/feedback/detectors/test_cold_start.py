"""Cold starts: the accuracy case and the latency case."""

from __future__ import annotations

import pytest

from selfopt.feedback.detectors.cold_start import ColdStart
from tests.feedback.world import THRESHOLDS, evaluation, numbers

COLD = [True, True, True, False, False, False, False]
WARM = [False] * 7
UNKNOWN = [None] * 7


def test_rows_like_ffppppp_with_load_evidence_are_a_cold_start_of_the_accuracy_case() -> None:
    """The specification's case: every prompt waits for the load in its first two runs."""
    seen = evaluation(["TTPPPPP"] * 12, loaded=[COLD] * 12, load_ms=900.0)
    finding = ColdStart().examine([seen], THRESHOLDS)[0]
    assert finding.type == "cold_start"
    assert numbers(finding)["case"] == "accuracy"
    assert numbers(finding)["prompts"] == numbers(finding)["of"] == 12
    assert numbers(finding)["failures"] == 24
    assert numbers(finding)["example"] == "FFPPPPP"
    assert numbers(finding)["load_ms"] == 900.0
    assert len(finding.trial_ids) == 24
    assert finding.confidence == "high"
    assert not finding.confirmed


def test_load_evidence_on_one_prompt_explains_timeouts_of_the_others_in_the_same_runs() -> None:
    """Only the request that waited sees the load; the ones behind it time out too."""
    seen = evaluation(["TPPPPPP"] * 4, loaded=[[True, *WARM[1:]], UNKNOWN, UNKNOWN, UNKNOWN])
    (finding,) = ColdStart().examine([seen], THRESHOLDS)
    assert numbers(finding)["prompts"] == 4


@pytest.mark.parametrize("loaded", [[WARM] * 12, [UNKNOWN] * 12, []])
def test_the_pattern_without_load_evidence_is_no_cold_start(loaded: list[list[bool | None]]) -> None:
    """Twelve rows of FFPPPPP may have any cause."""
    assert not ColdStart().examine([evaluation(["TTPPPPP"] * 12, loaded=loaded)], THRESHOLDS)


def test_wrong_answers_need_evidence_in_every_failing_run_of_their_own() -> None:
    """A load on another prompt does not explain why a model that answered was wrong."""
    elsewhere = evaluation(["WWPPPPP", "PPPPPPP"], loaded=[WARM, COLD])
    assert not ColdStart().examine([elsewhere], THRESHOLDS)
    own = evaluation(["WWPPPPP", "PPPPPPP"], loaded=[COLD, WARM])
    assert [numbers(f)["prompts"] for f in ColdStart().examine([own], THRESHOLDS)] == [1]


def test_a_late_load_does_not_explain_early_failures() -> None:
    """The load must show in the failing runs or in the one after them."""
    late = [False, False, False, False, False, True, False]
    assert not ColdStart().examine([evaluation(["TTPPPPP"] * 6, loaded=[late] * 6)], THRESHOLDS)


def test_an_outcome_loading_is_its_own_evidence_even_in_a_single_run() -> None:
    """One pass that was refused while the server loaded."""
    (finding,) = ColdStart().examine([evaluation(["L", "L", "P", "P"], determinism="unknown")], THRESHOLDS)
    assert numbers(finding)["case"] == "accuracy"
    assert numbers(finding)["failures"] == 2


def test_a_slow_first_call_with_load_evidence_is_the_latency_case_with_its_figures() -> None:
    """Everything passes; the first call took 740 ms against 70 ms."""
    slow = {"first_call_ms": 740.0, "p50_ms": 70.0}
    seen = evaluation(["P"] * 12, determinism="sampled", loaded=[[True]] + [[False]] * 11, metrics=slow)
    (finding,) = ColdStart().examine([seen], THRESHOLDS)
    assert numbers(finding) == {"case": "latency", "first_call_ms": 740.0, "p50_ms": 70.0, "load_ms": 670.0, "evaluations": 1}
    assert finding.prompt_ids == ("P1",)


def test_a_reported_load_counts_although_the_median_first_call_over_runs_is_warm() -> None:
    """Only the first of seven runs was cold."""
    metrics = {"first_call_ms": 75.0, "p50_ms": 70.0}
    seen = evaluation(["P" * 7], loaded=[[True, *WARM[1:]]], load_ms=900.0, metrics=metrics)
    (finding,) = ColdStart().examine([seen], THRESHOLDS)
    assert numbers(finding)["first_call_ms"] == 970.0
    assert numbers(finding)["load_ms"] == 900.0


@pytest.mark.parametrize(
    ("first_ms", "p50_ms", "loaded"),
    [
        (740.0, 70.0, [[False]]),
        (740.0, 70.0, [[None]]),
        (100.0, 70.0, [[True]]),
        (1200.0, 1000.0, [[True]]),
        (None, 70.0, [[True]]),
    ],
)
def test_a_slow_first_call_needs_load_evidence_and_a_clear_excess(
    first_ms: float | None, p50_ms: float, loaded: list[list[bool | None]]
) -> None:
    """A long prompt is slow at first too; that is no cold start."""
    metrics = {"first_call_ms": first_ms, "p50_ms": p50_ms}
    assert not ColdStart().examine([evaluation(["P"], loaded=loaded, metrics=metrics, determinism="sampled")], THRESHOLDS)


def test_both_cases_are_told_apart_in_one_evaluation() -> None:
    """Failures and a slow first call give two findings."""
    slow = {"first_call_ms": 2000.0, "p50_ms": 70.0}
    findings = ColdStart().examine([evaluation(["TTPPPPP"] * 6, loaded=[COLD] * 6, metrics=slow)], THRESHOLDS)
    assert [numbers(f)["case"] for f in findings] == ["accuracy", "latency"]
    assert len({f.finding_id for f in findings}) == 2


def test_wrong_answers_in_the_first_runs_of_many_prompts_are_a_cold_start_from_the_rows_alone() -> None:
    """Nobody tells of loads, but the order of failures over twelve prompts does; how sure that is stands in the figures."""
    (finding,) = ColdStart().examine([evaluation(["WWPPPPP"] * 8 + ["PPPPPPP"] * 4)], THRESHOLDS)
    assert finding.confidence == "medium"
    assert "look like a cold start" in finding.summary
    assert "nothing is known of loads" in finding.summary
    figures = numbers(finding)
    assert (figures["prompts"], figures["failures"], figures["called"], figures["waited"]) == (8, 16, 16, 0)
    assert (figures["rows"], figures["rows_cold_start"], figures["rows_stable"]) == (12, 8, 4)
    assert isinstance(figures["order_p"], float)
    assert figures["order_p"] < 1e-6
    assert isinstance(figures["posterior"], float)
    assert 0.8 <= figures["posterior"] <= 1
    assert sum(float(v) for k, v in figures.items() if k.startswith("weight_")) == pytest.approx(1, abs=0.001)


def test_prompts_that_break_off_or_flicker_are_no_cold_start() -> None:
    """Failures in any other order, as many of them."""
    assert not ColdStart().examine([evaluation(["PPPPPWW"] * 8)], THRESHOLDS)
    assert not ColdStart().examine([evaluation(["PWPPPWP", "WPPWPPP", "PPWPPPW", "PPPWPWP"] * 3)], THRESHOLDS)


def test_one_prompt_alone_needs_a_load_in_each_of_its_failing_runs() -> None:
    """FFPPPPP of one prompt arises from flakiness in 1.5 % of rows; a load in one of the two runs is not enough."""
    half = [True, False, False, False, False, False, False]
    for loaded in ([], [UNKNOWN], [half], [WARM]):
        assert not ColdStart().examine([evaluation(["WWPPPPP", "PPPPPPP"], loaded=loaded)], THRESHOLDS)


def test_a_failure_in_the_first_run_of_one_prompt_is_no_longer_called_a_cold_start() -> None:
    """One of seven orders: also with a load in it that could be chance (p = .14)."""
    load = [True, False, False, False, False, False, False]
    assert not ColdStart().examine([evaluation(["WPPPPPP", "PPPPPPP"], loaded=[load, WARM])], THRESHOLDS)
    (finding,) = ColdStart().examine([evaluation(["WPPPPPP"] * 3, loaded=[load] * 3)], THRESHOLDS)
    assert numbers(finding)["loads_in_cold_runs"] == 3


def test_other_faults_are_no_failures_of_the_first_runs() -> None:
    """Replies that nobody could read say nothing about the model, in whatever run."""
    assert not ColdStart().examine([evaluation(["XXPPPPP"] * 12)], THRESHOLDS)
    assert not ColdStart().examine([evaluation(["CCPPPPP"] * 12)], THRESHOLDS)


def test_copies_are_not_counted_as_runs() -> None:
    """Repeats of a deterministic spec say once what they say."""
    seen = evaluation(["WWPPPPP"] * 12, determinism="complete")
    assert not ColdStart().examine([seen], THRESHOLDS)
