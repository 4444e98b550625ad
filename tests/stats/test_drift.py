"""The detectors of live traffic: their limits come from the calibration and the bound."""

from __future__ import annotations

import random

import pytest

from selfopt.stats import clopper_pearson_upper, escalations_detector, outcomes_detector


def test_the_usual_shares_are_the_limit_of_the_calibration_and_the_bound() -> None:
    assert escalations_detector(300, 200).usual == pytest.approx(clopper_pearson_upper(100, 300, 0.9))
    assert outcomes_detector(0.1).usual == 0.1


@pytest.mark.parametrize(("n", "served"), [(0, 0), (1, 0), (1, 1), (5, 9), (-3, -5), (10**9, 0)])
def test_figures_of_any_calibration_give_a_detector(n: int, served: int) -> None:
    """Those of a file that was made by hand, too."""
    detector = escalations_detector(n, served)
    assert 0 < detector.usual < 1
    detector.add(True)
    for share in (0.0, 1.0):
        assert 0 < outcomes_detector(share).usual < 1


def test_the_smaller_the_calibration_the_more_it_takes() -> None:
    """Its limit is farther from what it saw."""
    assert escalations_detector(60, 40).usual > escalations_detector(600, 400).usual > 1 / 3


def test_a_clear_drift_is_seen_within_hundreds_and_none_within_ten_thousand_requests() -> None:
    """Of a calibration of 1,000 that served two of three: 45 % escalate, or a third as before."""

    def until(share: float, seed: int) -> int:
        rng, detector = random.Random(seed), escalations_detector(1000, 667)
        while not detector.add(rng.random() < share) and detector.seen < 10_000:
            pass
        return detector.seen

    assert max(until(0.45, seed) for seed in range(20)) < 2000
    assert [until(1 / 3, seed) for seed in range(20)] == [10_000] * 20
