"""Synthetic worlds are what they say, and a bench answers by them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.simulate import BASELINE, Bench, WorldOptions, candidate_name, make_world


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 60), st.floats(0, 1), st.floats(-0.1, 0.1), st.floats(0, 0.1), st.integers(0, 999))
def test_candidates_differ_from_the_baseline_by_their_gain(
    prompts: int, flaky: float, gain: float, churn: float, seed: int
) -> None:
    """Exactly where there is room, never by more, and every chance stays a chance."""
    world = make_world(WorldOptions(prompts, 3, flaky=flaky, gain=gain, churn=churn), random.Random(seed))
    assert len(world.chances) == 4
    assert all(0 <= p <= 1 for row in world.chances for p in row)
    assert abs(world.gain(1)) <= abs(gain) + 1e-9
    for other in (2, 3):
        assert world.gain(other) == pytest.approx(0, abs=1e-9)
    # Each prompt is moved at most once, by .2 or more where it has the room.
    up, down = (
        sum(min(room, 0.2) for room in rooms) / prompts for rooms in ([1 - p for p in world.chances[0]], world.chances[0])
    )
    if (gain <= up and churn <= down) if gain > 0 else -gain + churn <= down:
        assert world.gain(1) == pytest.approx(gain, abs=1e-9)


def test_deterministic_worlds_pass_always_or_never_and_gain_on_average() -> None:
    """Ten points over many prompts; the baseline can be given."""
    options = WorldOptions(4000, 2, deterministic=True, gain=0.1)
    world = make_world(options, random.Random(1))
    assert {p for row in world.chances for p in row} == {0.0, 1.0}
    assert world.gain(1) == pytest.approx(0.1, abs=0.02)
    assert world.gain(2) == pytest.approx(0.0, abs=0.02)
    again = make_world(options, random.Random(2), world.chances[1], [0.0, -0.1])
    assert again.chances[0] == world.chances[1]
    assert again.gain(2) == pytest.approx(-0.1, abs=0.02)


def test_a_bench_passes_as_often_as_the_chances_say() -> None:
    """And the same world with the same seed answers the same."""
    world = make_world(WorldOptions(5, 1), random.Random(3))
    bench, twin = (Bench(world, random.Random(4)) for _ in range(2))
    counts = bench.passes(BASELINE, range(5), 4000)
    assert counts == twin.passes(BASELINE, range(5), 4000)
    for count, chance in zip(counts, world.chances[0], strict=True):
        assert count / 4000 == pytest.approx(chance, abs=0.03)


def test_first_answers_of_cold_prompts_fail_unless_warmed_up() -> None:
    """Every prompt cold, all chances 1: the first answers mostly fail, the third never."""
    world = make_world(WorldOptions(200, 1, flaky=0.0, churn=0.0, cold=1.0), random.Random(5))
    sure = [j for j, p in enumerate(world.chances[1]) if p == 1.0]
    cold, warm = Bench(world, random.Random(6)), Bench(world, random.Random(6), warm_up=True)
    first, _, third = (cold.passes(candidate_name(1), sure, 1) for _ in range(3))
    assert sum(first) < 0.2 * len(sure)
    assert sum(third) == len(sure)
    assert sum(warm.passes(candidate_name(1), sure, 1)) == len(sure)


def test_a_drifting_server_loses_points_with_every_trial() -> None:
    """Thirty points after a thousand trials, and no more."""
    world = make_world(WorldOptions(1, 1, flaky=0.0), random.Random(7))
    bench = Bench(world, random.Random(8), drift=0.3)
    shares = []
    for trials in (0, 500, 1000, 5000):
        bench.trials = trials
        shares.append(bench.passes(BASELINE, [0], 3000)[0] / 3000)
    assert shares == pytest.approx([1.0, 0.85, 0.7, 0.7], abs=0.03)


@pytest.mark.parametrize(
    "options",
    [
        {"prompts": 0},
        {"candidates": 0},
        {"flaky": 1.2},
        {"churn": -0.1},
        {"gain": 2},
        {"others": -2},
        {"cold": 2},
        {"drift": float("nan")},
    ],
)
def test_worlds_that_are_none_are_refused(options: dict[str, Any]) -> None:
    """With the range that is allowed."""
    with pytest.raises(UsageError, match="need"):
        WorldOptions(**options)
