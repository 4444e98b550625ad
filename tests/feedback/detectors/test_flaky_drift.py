"""Flaky prompts and drift."""

from __future__ import annotations

import random

from selfopt.feedback.detectors.drift import Drift
from selfopt.feedback.detectors.flaky import Flaky
from tests.feedback.world import THRESHOLDS, evaluation, numbers

COLD = [True, True, True, False, False, False, False]


def test_prompts_that_pass_and_fail_are_flaky() -> None:
    """2 of 3 here; the stable one is not."""
    (finding,) = Flaky().examine([evaluation(["PWPWPWP", "WPPPPPW", "PPPPPPP"])], THRESHOLDS)
    assert numbers(finding)["prompts"] == 2
    assert finding.prompt_ids == ("P1", "P2")
    assert numbers(finding)["example"] == "PFPFPFP"


def test_a_look_of_cold_start_without_a_load_is_flaky_and_with_one_is_not() -> None:
    """The same row, with and without evidence."""
    assert Flaky().examine([evaluation(["WWPPPPP"])], THRESHOLDS)
    assert not Flaky().examine([evaluation(["WWPPPPP"], loaded=[COLD])], THRESHOLDS)


def test_faults_of_infrastructure_do_not_make_a_prompt_flaky() -> None:
    """Timeouts and errors are another finding."""
    assert not Flaky().examine([evaluation(["PTPEPPP"])], THRESHOLDS)


def test_two_runs_say_nothing_about_flakiness() -> None:
    """Three runs do."""
    assert not Flaky().examine([evaluation(["PW"])], THRESHOLDS)
    assert Flaky().examine([evaluation(["PWP"])], THRESHOLDS)


def test_later_runs_that_are_worse_are_drift_over_prompts() -> None:
    """Several prompts stop passing at the same time."""
    (finding,) = Drift().examine([evaluation(["PPPPWWW"] * 4 + ["PPPPPPP"] * 8)], THRESHOLDS)
    assert numbers(finding)["before"] == 1.0
    assert numbers(finding)["runs"] == 7
    assert finding.prompt_ids == ("P1", "P2", "P3", "P4")


def test_drift_is_seen_across_evaluations_too() -> None:
    """Three good runs, then three bad ones."""
    before, after = evaluation(["PPP"] * 6, number=1), evaluation(["WWW"] * 6, number=2)
    assert Drift().examine([before, after], THRESHOLDS)
    assert not Drift().examine([after, before], THRESHOLDS)


def test_drift_abstains_without_enough_runs_and_with_faults() -> None:
    """Four runs are too few; errors are no drift."""
    assert not Drift().examine([evaluation(["PPWW"] * 12)], THRESHOLDS)
    assert not Drift().examine([evaluation(["PPPPEEE"] * 12)], THRESHOLDS)


def test_a_deterministic_spec_that_got_worse_has_drifted() -> None:
    """Copies that differ mean that something unobserved changed."""
    before = evaluation(["P"] * 12, number=1, determinism="sampled")
    after = evaluation(["P"] * 10 + ["W"] * 2, number=2, determinism="sampled")
    (finding,) = Drift().examine([before, after], THRESHOLDS)
    assert finding.prompt_ids == ("P11", "P12")
    assert not Drift().examine([before, before.model_copy(update={"run_ids": ("other",)})], THRESHOLDS)


def test_flaky_prompts_rarely_look_like_drift() -> None:
    """Pure flakiness gives at most about the test's level of false alarms."""
    source = random.Random(5)
    tables = [["".join("P" if source.random() < 0.7 else "W" for _ in range(7)) for _ in range(12)] for _ in range(200)]
    alarms = sum(bool(Drift().examine([evaluation(table)], THRESHOLDS)) for table in tables)
    assert alarms <= 16


def test_prompts_that_the_classifier_calls_drifting_or_cold_are_not_flaky() -> None:
    """Each row has one cause."""
    assert not Flaky().examine([evaluation(["PPPPWWW"] * 6 + ["PPPPPPP"] * 6)], THRESHOLDS)
    assert not Flaky().examine([evaluation(["WWPPPPP"] * 6 + ["PPPPPPP"] * 6)], THRESHOLDS)


def test_the_flaky_finding_tells_of_how_many_rows_the_classifier_is_sure() -> None:
    """One failure in seven may be a stable prompt's: nothing is said about that row."""
    (finding,) = Flaky().examine([evaluation(["PWPWPWP", "PPPWPPP", "PPPPPPP"])], THRESHOLDS)
    figures = numbers(finding)
    assert (figures["prompts"], figures["rows_flaky"], figures["rows_abstained"], figures["rows_stable"]) == (2, 1, 1, 1)
    assert isinstance(figures["posterior"], float)
    assert figures["posterior"] >= 0.8


def test_a_few_prompts_that_break_off_are_drift_among_cold_starts_of_others() -> None:
    """Early failures of other prompts do not hide late ones; the figures name what the classifier saw."""
    rows = ["PPPPPWW"] * 5 + ["WWPPPPP"] * 5 + ["PPPPPPP"] * 2
    (finding,) = Drift(min_drop=0.0).examine([evaluation(rows)], THRESHOLDS)
    assert numbers(finding)["rows_drift"] == 5
    assert isinstance(numbers(finding)["order_p"], float)
    assert numbers(finding)["order_p"] < 1e-3
