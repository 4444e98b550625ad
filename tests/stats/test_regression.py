"""The exact two-sample test, stratified by prompt."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import Stratum, fewer_passes_p, look_shares

COUNTS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4))
STRATA = st.lists(COUNTS.map(lambda c: Stratum(min(c[0], c[1]), c[1], min(c[2], c[3]), c[3])), max_size=4)


def by_hand(strata: list[Stratum]) -> float:
    """The same by counting every way in which the passes can fall on the answers of each prompt."""
    ways = []
    for one in strata:
        answers = range(one.now_runs + one.before_runs)
        placed = list(itertools.combinations(answers, one.now + one.before))
        ways.append([sum(answer < one.now_runs for answer in place) for place in placed])
    observed = sum(one.now for one in strata)
    every = [sum(each) for each in itertools.product(*ways)]
    return sum(one <= observed for one in every) / len(every)


@settings(max_examples=60, deadline=None)
@given(STRATA)
def test_it_is_what_counting_by_hand_gives(strata: list[Stratum]) -> None:
    """Whatever the counts are."""
    assert fewer_passes_p(strata) == pytest.approx(by_hand(strata))


def test_prompts_whose_answers_all_agree_say_nothing() -> None:
    """They have one way to fall."""
    stable = [Stratum(3, 3, 7, 7), Stratum(0, 3, 0, 7)]
    lost = [Stratum(0, 3, 7, 7)]
    assert fewer_passes_p(stable) == 1.0
    assert fewer_passes_p(lost + stable) == fewer_passes_p(lost) == pytest.approx(1 / math.comb(10, 3))


def test_it_keeps_its_level_where_nothing_changed() -> None:
    """In 400 draws of flaky prompts, as the share of small p values shows."""
    rng = random.Random("level")
    small = 0
    for _ in range(400):
        rates = [rng.random() for _ in range(20)]
        strata = [Stratum(sum(rng.random() < p for _ in range(2)), 2, sum(rng.random() < p for _ in range(7)), 7) for p in rates]
        small += fewer_passes_p(strata) <= 0.05
    assert small / 400 <= 0.08


def test_many_prompts_are_no_burden_and_large_losses_no_underflow() -> None:
    """3,000 flaky prompts; all of them lost."""
    rng = random.Random("many")
    same = [
        Stratum(sum(rng.random() < 0.5 for _ in range(2)), 2, sum(rng.random() < 0.5 for _ in range(7)), 7) for _ in range(3000)
    ]
    assert 0.001 < fewer_passes_p(same) < 0.999
    lost = [Stratum(0, 2, 4, 7)] * 3000
    assert 0 <= fewer_passes_p(lost) < 1e-15


def test_looks_share_alpha_out() -> None:
    """All of it, the earlier ones more."""
    shares = look_shares(7)
    assert math.fsum(shares) == pytest.approx(1.0)
    assert sorted(shares, reverse=True) == list(shares)
    with pytest.raises(ValueError, match="at least 1"):
        look_shares(0)


def test_impossible_counts_are_refused() -> None:
    """More passes than runs."""
    with pytest.raises(ValueError, match="passes from 0"):
        Stratum(2, 1, 0, 7)
