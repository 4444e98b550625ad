"""What requests cost by a price."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import Price, Usage, cost_of

PRICES = st.builds(
    Price,
    input=st.none() | st.floats(0, 1e6),
    output=st.none() | st.floats(0, 1e6),
    cached=st.none() | st.floats(0, 1e6),
    per_hour=st.none() | st.floats(0, 1e6),
)
COUNTS = st.none() | st.integers(-5, 10**9)
USAGES = st.builds(Usage, input_tokens=COUNTS, output_tokens=COUNTS, cached_tokens=COUNTS)


@given(PRICES, USAGES, st.none() | st.floats(-1, 1e7))
def test_a_cost_is_finite_and_never_negative(price: Price, usage: Usage, busy_s: float | None) -> None:
    """Whatever a server counts, and however."""
    cost = cost_of(price, usage, busy_s)
    assert cost is None or (math.isfinite(cost) and cost >= 0)


def test_each_part_has_its_own_price() -> None:
    """Cached tokens are a part of the input; an hour of a busy model is added."""
    price = Price(input=2.0, output=10.0, cached=0.5, per_hour=3.6)
    usage = Usage(input_tokens=1_000_000, output_tokens=100_000, cached_tokens=400_000)
    assert cost_of(price, usage, 10.0) == pytest.approx(1.2 + 0.2 + 1.0 + 0.01)


def test_cached_tokens_cost_the_full_price_where_none_is_named() -> None:
    """So do those of a server that does not tell of its cache."""
    usage = Usage(input_tokens=1_000_000, output_tokens=0, cached_tokens=400_000)
    assert cost_of(Price(input=2.0, output=1.0), usage, None) == pytest.approx(2.0)
    assert cost_of(Price(input=2.0, output=1.0, cached=0.0), Usage(input_tokens=1_000_000, output_tokens=0), None) == 2.0


def test_no_more_tokens_are_cached_than_were_read() -> None:
    """A server that claims more gets no negative bill."""
    usage = Usage(input_tokens=10, output_tokens=0, cached_tokens=1_000_000)
    assert cost_of(Price(input=100.0, output=0.0, cached=1.0), usage, None) == pytest.approx(1e-5)


@pytest.mark.parametrize(
    ("price", "usage", "busy_s"),
    [
        (None, Usage(input_tokens=1, output_tokens=1), 1.0),
        (Price(input=1.0, output=0.0), Usage(output_tokens=1), 1.0),
        (Price(input=0.0, output=1.0), Usage(input_tokens=1), 1.0),
        (Price(per_hour=1.0), Usage(input_tokens=1, output_tokens=1), None),
    ],
)
def test_what_nobody_told_is_no_cost_of_nothing(price: Price | None, usage: Usage, busy_s: float | None) -> None:
    """Without a price, a count or a time that the price needs, the cost is unknown."""
    assert cost_of(price, usage, busy_s) is None


def test_what_costs_nothing_needs_no_count() -> None:
    """A price of 0 is known whatever the server tells, and time alone needs no tokens."""
    assert cost_of(Price(input=0.0, output=0.0), Usage(), None) == 0.0
    assert cost_of(Price(per_hour=7.2), Usage(), 5.0) == pytest.approx(0.01)
