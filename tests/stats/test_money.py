"""When a cascade pays."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import break_even, cascade_cost

COSTS = st.floats(min_value=0, max_value=1e6, allow_subnormal=False)


@given(COSTS, COSTS, st.floats(min_value=0, max_value=1))
def test_a_cascade_is_cheaper_exactly_below_its_break_even_share(small: float, large: float, escalated: float) -> None:
    """The share says on which side the cost of the cascade lies."""
    share = break_even(small, large)
    if share is None:
        assert small == large == 0
        return
    assert 0 <= share <= 1
    cascade = cascade_cost(small, large, escalated)
    slack = 1e-9 * max(small, large)
    if escalated < share - 1e-9:
        assert cascade <= large + slack
    elif escalated > share + 1e-9:
        assert cascade >= large - slack


@pytest.mark.parametrize(("small", "large", "share"), [(0, 3, 1), (1, 4, 0.75), (4, 4, 0), (5, 4, 0), (0.1, 0.0, 0)])
def test_the_ends_are_as_a_person_would_say_them(small: float, large: float, share: float) -> None:
    """A free small model always pays; one as dear as the larger model never does."""
    assert break_even(small, large) == share


@pytest.mark.parametrize(("small", "large"), [(None, 1.0), (1.0, None), (None, None), (0, 0)])
def test_where_nothing_is_to_be_compared_there_is_no_share(small: float | None, large: float | None) -> None:
    """What is not known is not made up, and of two that cost nothing neither is cheaper."""
    assert break_even(small, large) is None


@pytest.mark.parametrize("cost", [-1e-9, math.inf, -math.inf, math.nan])
def test_what_is_no_cost_is_refused(cost: float) -> None:
    """On either side, by its value."""
    for small, large in ((cost, 1.0), (1.0, cost)):
        with pytest.raises(ValueError, match="not a finite number of at least 0"):
            break_even(small, large)


@pytest.mark.parametrize("escalated", [-0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(escalated: float) -> None:
    """A share is in [0, 1]."""
    with pytest.raises(ValueError, match="not in"):
        cascade_cost(1.0, 2.0, escalated)
