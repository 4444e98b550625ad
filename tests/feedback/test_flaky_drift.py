"""Flaky prompts and drift."""

from __future__ import annotations

import random

from selfopt.feedback import Drift, Flaky
from tests.feedback.world import evaluation

COLD = [True, True, True, False, False, False, False]


def test_prompts_that_pass_and_fail_are_flaky() -> None:
    """2 of 3 here; the stable one is not."""
    (finding,) = Flaky().examine([evaluation(["PWPWPWP", "WPPPPPW", "PPPPPPP"])])
    assert finding.figures["prompts"] == 2
    assert finding.prompt_ids == ("P1", "P2")
    assert finding.figures["example"] == "PFPFPFP"


def test_a_look_of_cold_start_without_a_load_is_flaky_and_with_one_is_not() -> None:
    """The same row, with and without evidence."""
    assert Flaky().examine([evaluation(["WWPPPPP"])])
    assert not Flaky().examine([evaluation(["WWPPPPP"], loaded=[COLD])])


def test_faults_of_infrastructure_do_not_make_a_prompt_flaky() -> None:
    """Timeouts and errors are another finding."""
    assert not Flaky().examine([evaluation(["PTPEPPP"])])


def test_two_runs_say_nothing_about_flakiness() -> None:
    """Three runs do."""
    assert not Flaky().examine([evaluation(["PW"])])
    assert Flaky().examine([evaluation(["PWP"])])


def test_later_runs_that_are_worse_are_drift_over_prompts() -> None:
    """Several prompts stop passing at the same time."""
    (finding,) = Drift().examine([evaluation(["PPPPWWW"] * 4 + ["PPPPPPP"] * 8)])
    assert finding.figures["before"] == 1.0
    assert finding.figures["runs"] == 7
    assert finding.prompt_ids == ("P1", "P2", "P3", "P4")


def test_drift_is_seen_across_evaluations_too() -> None:
    """Three good runs, then three bad ones."""
    before, after = evaluation(["PPP"] * 6, number=1), evaluation(["WWW"] * 6, number=2)
    assert Drift().examine([before, after])
    assert not Drift().examine([after, before])


def test_drift_abstains_without_enough_runs_and_with_faults() -> None:
    """Four runs are too few; errors are no drift."""
    assert not Drift().examine([evaluation(["PPWW"] * 12)])
    assert not Drift().examine([evaluation(["PPPPEEE"] * 12)])


def test_a_deterministic_spec_that_got_worse_has_drifted() -> None:
    """Copies that differ mean that something unobserved changed."""
    before = evaluation(["P"] * 12, number=1, determinism="sampled")
    after = evaluation(["P"] * 10 + ["W"] * 2, number=2, determinism="sampled")
    (finding,) = Drift().examine([before, after])
    assert finding.prompt_ids == ("P11", "P12")
    assert not Drift().examine([before, before.model_copy(update={"run_ids": ("other",)})])


def test_flaky_prompts_rarely_look_like_drift() -> None:
    """Pure flakiness gives at most about the test's level of false alarms."""
    source = random.Random(5)
    tables = [["".join("P" if source.random() < 0.7 else "W" for _ in range(7)) for _ in range(12)] for _ in range(200)]
    alarms = sum(bool(Drift().examine([evaluation(table)])) for table in tables)
    assert alarms <= 16
