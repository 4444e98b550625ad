"""The logistic regression with non-negative weights: its minimum, its signs, and what order changes."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import logistic, non_negative_logistic

SHARES = st.floats(0, 1, allow_nan=False)
ROWS = st.lists(st.tuples(SHARES, SHARES, st.booleans()), max_size=40)


def objective(columns: list[list[float]], right: list[bool], beta: tuple[float, ...], ridge: float) -> float:
    """What the fit minimises, written down once more."""
    total = ridge / 2 * sum(b * b for b in beta)
    for *xs, good in zip(*columns, right, strict=True):
        odds = beta[0] + sum(w * x for w, x in zip(beta[1:], xs, strict=True))
        total += math.log1p(math.exp(-odds if good else odds))
    return total


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 10_000))
def test_no_near_point_is_better_and_no_weight_is_negative(rows: list[tuple[float, float, bool]], seed: int) -> None:
    """The objective is convex, so a minimum among near points is the minimum."""
    columns, right = [[row[0] for row in rows], [row[1] for row in rows]], [row[2] for row in rows]
    intercept, weights = non_negative_logistic(columns, right)
    assert min(weights) >= 0
    found, rng = (intercept, *weights), random.Random(seed)
    least = objective(columns, right, found, 0.1)
    for size in (1e-3, 0.1, 1.0):
        near = tuple(value + rng.gauss(0, size) for value in found)
        near = (near[0], *(max(0.0, weight) for weight in near[1:]))
        assert objective(columns, right, near, 0.1) >= least - 1e-6


@settings(max_examples=40, deadline=None)
@given(ROWS, st.randoms())
def test_the_order_of_rows_changes_no_bit(rows: list[tuple[float, float, bool]], rng: random.Random) -> None:
    """Rows are sorted before anything is summed."""
    mixed = rng.sample(rows, len(rows))
    fits = [non_negative_logistic([[r[0] for r in one], [r[1] for r in one]], [r[2] for r in one]) for one in (rows, mixed)]
    assert fits[0] == fits[1]


def test_a_feature_that_speaks_against_being_right_gets_no_weight() -> None:
    """It is held at 0, and the other one is fitted as if it were not there."""
    rng = random.Random(1)
    right = [rng.random() < 0.6 for _ in range(300)]
    helps = [0.7 * good + 0.3 * rng.random() for good in right]
    misleads = [0.7 * (not good) + 0.3 * rng.random() for good in right]
    _, (up, down) = non_negative_logistic([helps, misleads], right)
    assert down == 0
    assert up == pytest.approx(non_negative_logistic([helps], right)[1][0], rel=1e-4)


def test_all_right_is_sure_and_finite() -> None:
    """The ridge keeps the minimum finite."""
    intercept, _ = non_negative_logistic([[0.5] * 50], [True] * 50)
    assert 0.95 < logistic(intercept) < 1


@pytest.mark.parametrize(
    ("columns", "ridge", "told"), [([[0.1]], 0.1, "columns"), ([[math.nan, 0.0]], 0.1, "missing"), ([[0.0, 1.0]], 0.0, "ridge")]
)
def test_what_cannot_be_fitted_is_refused(columns: list[list[float]], ridge: float, told: str) -> None:
    """Lengths, missing values and the ridge."""
    with pytest.raises(ValueError, match=told):
        non_negative_logistic(columns, [True, False], ridge=ridge)
