"""Forecasts: how many more pairs decide."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from selfopt.stats import Bets, EProcess, Pairs, pairs_to_decide, plan_pairs

PLAN: dict[str, Any] = {
    "gain": 0.05,
    "variance": 0.1,
    "power": 0.9,
    "alpha": 0.05,
    "candidates": 4,
    "smallest_gain": 0.05,
    "beta": 0.1,
}
NOW: dict[str, Any] = {"estimate": 0.05, "second_moment": 0.1, "smallest_gain": 0.05, "log_e_missing": 2.0, "log_f_missing": 2.0}


def test_what_is_missing_over_its_rate_of_growth() -> None:
    """d2/2v = 0.0125 a pair: 2 more take 160; at half the gain both borders are as far, and four times further."""
    assert pairs_to_decide(**NOW) == pytest.approx(160)
    assert pairs_to_decide(**NOW | {"estimate": 0.025}) == pytest.approx(640)
    assert pairs_to_decide(**NOW | {"estimate": -0.05}) == pytest.approx(40, rel=0.01)
    assert pairs_to_decide(**NOW | {"log_e_missing": -1.0}) == 0


def test_nothing_is_foretold_where_nothing_grows() -> None:
    """Better than nothing and than the smallest gain: only evidence for promotion grows; no drift at all: None."""
    assert pairs_to_decide(**NOW | {"estimate": 0.2, "log_f_missing": 0.0}) is not None
    assert pairs_to_decide(**NOW | {"estimate": 0.0, "smallest_gain": 0.0}) is None


def test_the_plan_foretells_when_evidence_gets_there() -> None:
    """A thousand sequences of win, tie and loss that gain five points: about 90 % have reached 80 by the planned pair."""
    plan = plan_pairs(**PLAN | {"variance": 0.15 - 0.05**2})
    rng, reached = random.Random("plan"), 0
    for _ in range(300):
        draws = [rng.random() for _ in range(plan.pairs)]
        process = EProcess(Bets((0.1, 0.18, 0.28, 0.45, 0.8), (0.1, 0.25, 0.3, 0.25, 0.1)))
        for start in range(0, plan.pairs, 25):
            gains = tuple(1.0 if u < 0.10 else -1.0 if u < 0.15 else 0.0 for u in draws[start : start + 25])
            process.absorb(Pairs(gains, (1.0,) * len(gains)))
            if process.log_e >= math.log(80):
                reached += 1
                break
    assert reached / 300 == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"gain": 0.1}, False),
        ({"power": 0.99}, True),
        ({"candidates": 16}, True),
        ({"alpha": 0.005}, True),
        ({"variance": 0.2}, True),
    ],
)
def test_a_plan_grows_with_what_is_asked_of_it(change: dict[str, Any], more: bool) -> None:
    """Pairs for a smaller gain, more power, more candidates, less alpha, more noise."""
    base, changed = plan_pairs(**PLAN).pairs, plan_pairs(**PLAN | change).pairs
    assert (changed > base) is more


@pytest.mark.parametrize(
    "change",
    [
        {"gain": 0.0}, {"gain": math.nan}, {"variance": 0.0}, {"power": 1.0}, {"alpha": 0.6}, {"candidates": 0}, {"smallest_gain": 0.0},
        {"smallest_gain": -0.05}, {"beta": 0.0}, {"beta": 1.0},
    ],
)  # fmt: skip
def test_impossible_plans_are_refused(change: dict[str, Any]) -> None:
    """With what is allowed."""
    with pytest.raises(ValueError, match="need"):
        plan_pairs(**PLAN | change)


def test_a_forecast_without_figures_is_refused() -> None:
    """NaN is no estimate."""
    with pytest.raises(ValueError, match="missing"):
        pairs_to_decide(**NOW | {"estimate": math.nan})
