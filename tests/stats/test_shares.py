"""Restraint against a floor, and against the baseline's."""

from __future__ import annotations

import math
import random

import pytest

from selfopt.stats import PROMPT_BETS, EProcess, Pairs, against_floor, non_inferiority, share_block


def test_a_clear_share_is_told_and_an_unclear_one_left_open() -> None:
    """Against 0.8: 60 of 60 is above, 20 of 60 below, 15 of 20 neither."""
    assert against_floor([share_block([1.0] * 60)], 0.8, 0.05).verdict == "above"
    assert against_floor([share_block([1.0] * 20 + [0.0] * 40)], 0.8, 0.05).verdict == "below"
    found = against_floor([share_block([1.0] * 15 + [0.0] * 5)], 0.8, 0.05)
    assert (found.verdict, found.share, found.n) == ("open", 0.75, 20)


def test_a_share_at_the_floor_is_hardly_ever_told_apart_from_it() -> None:
    """Looked at after each of 40 passes over five prompts: wrong in at most 5 % on either side."""
    rng = random.Random("floor")
    above = below = 0
    for _ in range(120):
        blocks = []
        seen = set()
        for _ in range(40):
            blocks.append(share_block([float(rng.random() < p) for p in (1.0, 1.0, 0.9, 0.6, 0.5)]))
            seen.add(against_floor(blocks, 0.8, 0.05).verdict)
        above += "above" in seen
        below += "below" in seen
    assert max(above, below) / 120 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 120)


def test_not_worse_than_three_points_is_shown_for_equals_and_not_for_the_worse() -> None:
    """Alike on 800 pairs; five points worse on as many."""
    alike = [Pairs((0.0,) * 19 + ((1.0 if i % 2 else -1.0),), (1.0,) * 20) for i in range(40)]
    worse = [Pairs((0.0,) * 19 + (-1.0,), (1.0,) * 20) for _ in range(20)]
    assert non_inferiority(alike, 0.03) > math.log(20)
    assert non_inferiority(worse, 0.03) < 0
    assert non_inferiority(alike, 0.03) == pytest.approx(EProcess.of(alike, PROMPT_BETS, -0.03).log_e)


def test_floors_margins_and_levels_out_of_range_are_refused() -> None:
    """And a share of nothing."""
    block = share_block([1.0])
    for call in (
        lambda: against_floor([block], 1.0, 0.05),
        lambda: against_floor([block], 0.8, 0.0),
        lambda: against_floor([], 0.8, 0.05),
        lambda: non_inferiority([block], 0.0),
        lambda: share_block([1.2]),
    ):
        with pytest.raises(ValueError, match=r"need|allowed"):
            call()
