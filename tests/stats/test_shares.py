"""Restraint against the baseline's."""

from __future__ import annotations

import math

import pytest

from selfopt.stats import PROMPT_BETS, EProcess, Pairs, non_inferiority


def test_not_worse_than_three_points_is_shown_for_equals_and_not_for_the_worse() -> None:
    """Alike on 800 pairs; five points worse on as many."""
    alike = [Pairs((0.0,) * 19 + ((1.0 if i % 2 else -1.0),), (1.0,) * 20) for i in range(40)]
    worse = [Pairs((0.0,) * 19 + (-1.0,), (1.0,) * 20) for _ in range(20)]
    assert non_inferiority(alike, 0.03) > math.log(20)
    assert non_inferiority(worse, 0.03) < 0
    assert non_inferiority(alike, 0.03) == pytest.approx(EProcess.of(alike, PROMPT_BETS, -0.03).log_e)


def test_a_margin_out_of_range_is_refused() -> None:
    """It says what is needed."""
    with pytest.raises(ValueError, match="need"):
        non_inferiority([Pairs((0.0,), (1.0,))], 0.0)
