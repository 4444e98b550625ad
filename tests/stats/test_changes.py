"""The alarm for a share that has risen: soon after a rise, seldom without one."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.lists(st.booleans(), max_size=200), st.integers(0, 200), st.floats(0.02, 0.98))
def test_a_detector_goes_on_from_its_state_as_if_nothing_had_been(outcomes: list[bool], cut: int, usual: float) -> None:
    """Also after JSON."""
    whole, first, second = (RiseDetector(usual) for _ in range(3))
    for outcome in outcomes:
        whole.add(outcome)
    for outcome in outcomes[:cut]:
        first.add(outcome)
    second.resume(json.loads(json.dumps(first.state)))
    for outcome in outcomes[cut:]:
        second.add(outcome)
    assert second == whole


@pytest.mark.parametrize(
    "state",
    [(), (1.0,), (5, 3, 4, 0, 1, 1, 1), (2, 3, 1, 0, 1, 1, 1), (5, 3, 1, 0, 1, 1, -1), (5, 3, 1, float("nan"), 1, 1, 1),
     (5, 3, 1, 0, float("inf"), 1, 1)],
)  # fmt: skip
def test_what_is_no_state_is_refused_and_changes_nothing(state: tuple[float, ...]) -> None:
    detector = RiseDetector(0.1)
    detector.add(True)
    before = detector.state
    with pytest.raises(ValueError, match=r"need|among"):
        detector.resume(state)
    assert detector.state == before


def test_what_was_lately_seen_begins_about_where_the_share_rose() -> None:
    """Within forty outcomes of a rise from a tenth to a half, so that figures tell of what is, and not of what was."""
    rng, detector = random.Random(3), RiseDetector(0.1, border=1e6)
    for _ in range(5000):
        assert not detector.add(rng.random() < 0.1)
    after = 0
    while not detector.add(rng.random() < 0.5):
        after += 1
    assert abs(detector.lately - after) <= 40
    assert detector.risen / detector.lately > 0.3
    assert detector.level >= 1


@pytest.mark.parametrize("dealt", [1, 4])
def test_the_chance_of_a_false_alarm_is_bounded_however_outcomes_are_dealt_out(dealt: int) -> None:
    """At most n / border: here a tenth, of 400 streams of 100 outcomes at the usual share; three standard errors are allowed."""
    false = 0
    for seed in range(400):
        rng = random.Random(seed)
        detectors = [RiseDetector(0.3, border=1000) for _ in range(dealt)]
        false += any(detectors[number % dealt].add(rng.random() < 0.3) for number in range(100))
    assert false / 400 <= 0.1 + 3 * (0.1 * 0.9 / 400) ** 0.5
