"""The alarm for a share that has risen: soon after a rise, seldom without one."""

from __future__ import annotations

import random

import pytest

from selfopt.stats import RiseDetector


def until_alarm(share: float, usual: float, seed: int, most: int = 20_000) -> int:
    """How many outcomes pass."""
    rng, detector = random.Random(seed), RiseDetector(usual)
    while not detector.add(rng.random() < share) and detector.seen < most:
        pass
    return detector.seen


def test_a_rise_is_seen_soon_and_a_false_alarm_is_rare() -> None:
    """20 points within a hundred outcomes on average; without a rise at least 2,000 pass on average."""
    assert sum(until_alarm(0.35, 0.15, seed) for seed in range(40)) / 40 < 100
    assert sum(until_alarm(0.15, 0.15, seed) for seed in range(40)) / 40 > 2000


def test_an_alarm_is_a_state_of_the_sums() -> None:
    """Bad outcomes alone raise it, good ones let it fall."""
    detector = RiseDetector(0.1, border=50)
    while not detector.alarmed:
        detector.add(True)
    assert detector.seen < 10
    for _ in range(100):
        detector.add(False)
    assert not detector.alarmed


@pytest.mark.parametrize(("usual", "border"), [(0.0, 10), (1.0, 10), (0.5, 0.5), (float("nan"), 10)])
def test_shares_and_borders_out_of_range_are_refused(usual: float, border: float) -> None:
    """One line says what is allowed."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        RiseDetector(usual, border)
