"""Tests of what a threshold serves: exact, in a fixed sequence, over prompts and over tool sets."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import (
    bad_share_p,
    clopper_pearson_upper,
    least_served,
    lowest_shown,
    prompts_factor,
    sets_factor,
    sets_log_e,
)

ALPHAS = st.floats(0.01, 0.6)


def test_fifty_nine_right_answers_show_five_percent() -> None:
    """One fewer shows nothing, at 0.05 and 0.05."""
    assert least_served(0.05, 0.05) == 59
    assert bad_share_p(0, 59, 0.05) <= 0.05 < bad_share_p(0, 58, 0.05)
    assert least_served(0.2, 0.05) == 14


@given(st.integers(1, 300), st.data(), ALPHAS)
def test_the_test_agrees_with_the_upper_limit(served: int, data: st.DataObject, alpha: float) -> None:
    """p <= delta exactly where the limit of Clopper & Pearson is at most alpha."""
    bad = data.draw(st.integers(0, served))
    upper = clopper_pearson_upper(bad, served, 0.95)
    if abs(upper - alpha) > 1e-9:
        assert (bad_share_p(bad, served, alpha) <= 0.05) == (upper <= alpha)


def test_a_sequence_stops_at_its_first_failure() -> None:
    """What comes after it is not looked at, and what comes before the start is not either."""
    looked: list[int] = []

    def p_value(index: int) -> float:
        looked.append(index)
        return [0.9, 0.01, 0.05, 0.2, 0.0][index]

    assert lowest_shown(5, 1, 0.05, p_value) == 2
    assert looked == [1, 2, 3]
    assert lowest_shown(5, 0, 0.05, p_value) is None
    assert lowest_shown(5, 5, 0.05, p_value) is None


@pytest.mark.parametrize("nulls", [{2, 3, 4}, {0, 3}, {0, 1, 2, 3, 4}])
def test_a_true_hypothesis_is_rejected_in_at_most_delta(nulls: set[int]) -> None:
    """Whatever their order, and with p-values that are one and the same draw."""
    rng, errors, n = random.Random(7), 0, 4000
    for _ in range(n):
        p_values = [0.0] * 5
        for null in sorted(nulls):
            p_values[null] = rng.random() if null == min(nulls) else p_values[min(nulls)]
        shown = lowest_shown(5, 0, 0.1, p_values.__getitem__)
        errors += shown is not None and any(null <= shown for null in nulls)
    assert errors / n <= 0.1 + 4 * math.sqrt(0.1 * 0.9 / n)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30), st.floats(0.02, 0.5), st.floats(0.02, 0.5), st.randoms()
)
def test_evidence_over_sets_rises_in_alpha_and_knows_no_order(
    raw: list[tuple[float, float]], one: float, other: float, rng: random.Random
) -> None:
    """A weaker claim never has less evidence."""
    shares = [(served, bad * served) for served, bad in raw]
    low, high = sorted((one, other))
    assert sets_log_e(shares, low) <= sets_log_e(shares, high) + 1e-9
    assert sets_log_e(rng.sample(shares, len(shares)), low) == pytest.approx(sets_log_e(shares, low), abs=1e-9)


def test_evidence_over_sets_is_rarely_large_where_the_claim_is_false() -> None:
    """Sets of which some are all bad: a mean bad share of exactly alpha."""
    rng, n = random.Random(3), 2000
    reached = sum(sets_log_e([(1.0, float(rng.random() < 0.2)) for _ in range(60)], 0.2) >= math.log(20) for _ in range(n))
    assert reached / n <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / n)


def test_how_many_more_it_takes() -> None:
    """So many times as many are enough, and somewhat fewer are not; where too many are bad, none are."""
    factor = prompts_factor(2, 80, 0.05, 0.05)
    assert factor is not None
    assert 1 < factor < 3
    assert prompts_factor(4, 80, 0.05, 0.05) is None
    shares = [(0.8, 0.0)] * 10
    times = sets_factor(shares, 0.1, 0.05)
    assert times is not None
    assert sets_log_e(shares * math.ceil(times), 0.1) >= math.log(20) > sets_log_e(shares * math.floor(times), 0.1)
    assert sets_factor([(0.8, 0.5)] * 10, 0.1, 0.05) is None


@pytest.mark.parametrize("arguments", [(3, 2, 0.1), (0, 5, 0.0), (0, 5, 1.0)])
def test_counts_and_shares_out_of_range_are_refused(arguments: tuple[int, int, float]) -> None:
    """More bad than served, or no share between 0 and 1."""
    with pytest.raises(ValueError, match="need"):
        bad_share_p(*arguments)
    with pytest.raises(ValueError, match="need one"):
        sets_log_e([(0.2, 0.3)], 0.1)
    with pytest.raises(ValueError, match="between"):
        least_served(0.0, 0.05)
