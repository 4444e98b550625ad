"""Intervals of a share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import clopper_pearson_interval, clopper_pearson_upper, wilson_interval

counts = st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def binomial_at_most(successes: int, n: int, p: float) -> float:
    """P(X <= successes), summed term by term."""
    return math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(successes + 1))


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_hold_the_observed_share_and_stay_within_0_and_1(pair: tuple[int, int], confidence: float) -> None:
    """Low <= share <= high for both kinds."""
    successes, n = pair
    share = successes / n if n else 0.5
    for interval in (wilson_interval(successes, n, confidence), clopper_pearson_interval(successes, n, confidence)):
        assert 0 <= interval.low <= share + 1e-12
        assert share - 1e-12 <= interval.high <= 1


@given(counts)
def test_more_confidence_is_never_narrower(pair: tuple[int, int]) -> None:
    """A 99 % interval holds the 90 % one."""
    for kind in (wilson_interval, clopper_pearson_interval):
        wide, narrow = kind(*pair, 0.99), kind(*pair, 0.9)
        assert wide.low <= narrow.low + 1e-12
        assert narrow.high <= wide.high + 1e-12


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_the_exact_upper_bound_solves_the_binomial_equation(pair: tuple[int, int]) -> None:
    """At the bound, so few successes have exactly the probability that is left over."""
    assert binomial_at_most(*pair, clopper_pearson_upper(*pair, 0.95)) == pytest.approx(0.05, abs=1e-9)


@given(st.integers(1, 200))
def test_the_bounds_of_none_and_all_have_their_closed_form(n: int) -> None:
    """0 of n: 1 - 0.05 ** (1/n); all of n: 1."""
    assert clopper_pearson_upper(0, n) == pytest.approx(1 - 0.05 ** (1 / n), abs=1e-9)
    assert clopper_pearson_upper(n, n) == 1.0
    assert clopper_pearson_interval(n, n).low == pytest.approx(0.025 ** (1 / n), abs=1e-9)


def test_known_values() -> None:
    """Figures from published tables."""
    assert clopper_pearson_upper(0, 3) == pytest.approx(0.6316, abs=1e-4)
    exact = clopper_pearson_interval(5, 12)
    assert (exact.low, exact.high) == pytest.approx((0.1517, 0.7233), abs=1e-4)
    score = wilson_interval(5, 12)
    assert (score.low, score.high) == pytest.approx((0.1933, 0.6805), abs=1e-4)
    large = clopper_pearson_interval(5_000, 20_000)
    assert (large.low, large.high) == pytest.approx((0.24401, 0.25606), abs=1e-5)


def test_no_trials_say_nothing() -> None:
    """n = 0 gives the whole range."""
    assert (wilson_interval(0, 0).low, wilson_interval(0, 0).high) == (0.0, 1.0)
    assert clopper_pearson_upper(0, 0) == 1.0
    assert clopper_pearson_interval(0, 0).low == 0.0


@pytest.mark.parametrize(("successes", "n", "confidence"), [(-1, 3, 0.9), (4, 3, 0.9), (1, -1, 0.9), (1, 3, 0.0), (1, 3, 1.0)])
def test_impossible_counts_are_refused(successes: int, n: int, confidence: float) -> None:
    """ValueError says what is needed."""
    for kind in (wilson_interval, clopper_pearson_interval, clopper_pearson_upper):
        with pytest.raises(ValueError, match="need"):
            kind(successes, n, confidence)
