"""How alpha is shared out over cycles."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import elond_level, fwer_level, history_share, share_of_cycle


@given(st.floats(0.001, 0.5), st.one_of(st.none(), st.integers(1, 60)))
def test_the_levels_of_all_cycles_sum_to_at_most_alpha(alpha: float, horizon: int | None) -> None:
    """With and without a known horizon, and beyond it."""
    levels = [fwer_level(alpha, t, horizon) for t in range(1, 200)]
    assert math.fsum(levels) <= alpha * (1 + 1e-12)
    assert all(level >= 0 for level in levels)
    assert math.fsum(levels) >= 0.99 * alpha


def test_a_known_horizon_shares_evenly() -> None:
    """Ten cycles: 0.005 each, and nothing after them."""
    assert [fwer_level(0.05, t, 10) for t in (1, 10, 11)] == pytest.approx([0.005, 0.005, 0.0])
    assert [fwer_level(0.05, t) for t in (1, 2, 3)] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])


@given(st.floats(0.001, 0.5), st.integers(1, 50), st.integers(0, 50))
def test_elond_pays_promotions_back(alpha: float, t: int, promotions: int) -> None:
    """With nothing promoted it is the other schedule; each promotion adds its share once more; at most one half."""
    assert elond_level(alpha, t, 0) == pytest.approx(fwer_level(alpha, t))
    assert elond_level(alpha, t, promotions) == pytest.approx(min(0.5, (promotions + 1) * alpha * share_of_cycle(t)))


@pytest.mark.parametrize("alpha", [0.0, -0.05, 0.6, 1.0, math.nan, math.inf])
def test_an_alpha_out_of_range_is_refused(alpha: float) -> None:
    """More than a half would promote on less than a coin's evidence."""
    levels: list[Callable[[], float]] = [lambda: fwer_level(alpha, 1), lambda: elond_level(alpha, 1, 0)]
    for level in levels:
        with pytest.raises(ValueError, match=r"above 0 and at most 0\.5"):
            level()


def test_cycles_and_promotions_are_counts() -> None:
    """Cycle 0, a horizon of 0, fewer than no promotions."""
    levels: list[Callable[[], float]] = [
        lambda: fwer_level(0.05, 0),
        lambda: fwer_level(0.05, 1, 0),
        lambda: elond_level(0.05, 1, -1),
    ]
    for level in levels:
        with pytest.raises(ValueError, match=r"count from 1|need 0 or more"):
            level()


@given(st.integers(0, 40), st.data())
def test_histories_of_verdicts_share_one(looks: int, data: st.DataObject) -> None:
    """Each history's share is that of the two it can go on to, so those that exclude each other have at most 1 together."""
    passed = data.draw(st.integers(0, looks))
    share = history_share(looks, passed)
    assert share == pytest.approx(history_share(looks + 1, passed) + history_share(looks + 1, passed + 1), rel=1e-9)
    assert math.fsum(math.comb(looks, k) * history_share(looks, k) for k in range(looks + 1)) == pytest.approx(1, rel=1e-9)
    assert history_share(0, 0) == 1
    assert history_share(3, 0) == pytest.approx(0.656, abs=0.001)


@pytest.mark.parametrize("counts", [(-1, 0), (2, 3), (2, -1)])
def test_impossible_histories_are_refused(counts: tuple[int, int]) -> None:
    """No more passes than looks."""
    with pytest.raises(ValueError, match="need a count"):
        history_share(*counts)
