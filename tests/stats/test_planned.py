"""Bets on a planned number of prompts: never more than a fair game, and nearly the power of a test that looks once."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import PromptDifferences, planned_log_e

VALUES = (-1.0, -0.5, 0.0, 0.25, 1.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=5, max_size=5), st.integers(1, 5), st.floats(0.01, 0.5), st.integers(0, 20))
def test_its_expectation_is_at_most_one_after_every_prompt(weights: list[float], n: int, alpha: float, later: int) -> None:
    """Exactly, over all sequences of outcomes whose mean is at most that of the hypothesis, and for a stop wherever it looks best."""
    total = math.fsum(weights)
    chances = [weight / total for weight in weights] if total > 1e-9 else [0.2] * 5
    mean = math.fsum(p * value for p, value in zip(chances, VALUES, strict=True))
    ends = best = 0.0
    for places in itertools.product(range(5), repeat=n):
        chance = math.prod(chances[i] for i in places)
        logs = planned_log_e([VALUES[i] for i in places], planned=n + later, alpha=alpha, mean=min(0.9, max(-0.9, mean)))
        ends += chance * math.exp(logs[-1])
        best += chance * (max(logs) >= -math.log(alpha))
    if -0.9 <= mean <= 0.9:
        assert ends <= 1 + 1e-9
        assert best <= alpha + 1e-9


@given(st.lists(st.floats(-1, 1), max_size=60), st.integers(0, 40), st.floats(0.001, 0.5))
def test_wealth_is_never_lost_whole_and_bets_do_not_look_ahead(outcomes: list[float], later: int, alpha: float) -> None:
    """Finite at every prompt, 1 at the start, and the same for a part of the outcomes."""
    logs = planned_log_e(outcomes, planned=len(outcomes) + later, alpha=alpha)
    assert logs[0] == 0
    assert all(math.isfinite(log) for log in logs)
    half = len(outcomes) // 2
    assert planned_log_e(outcomes[:half], planned=len(outcomes) + later, alpha=alpha) == logs[: half + 1]


def test_it_has_nearly_the_power_of_the_exact_test_and_more_with_shares_of_answers() -> None:
    """150 prompts, ten points better: within three points of McNemar's test, and far above it where answers vary and each is asked often."""
    rng = random.Random("planned")

    def answer() -> int:
        u = rng.random()
        return 1 if u < 0.22 else -1 if u < 0.34 else 0

    exact = once = often = 0
    for _ in range(400):
        drawn = [answer() for _ in range(150)]
        exact += PromptDifferences(tuple(drawn)).mcnemar <= 0.025
        once += planned_log_e(drawn, planned=150, alpha=0.025)[-1] >= math.log(40)
        shares = [sum(answer() for _ in range(7)) / 7 for _ in range(150)]
        often += planned_log_e(shares, planned=150, alpha=0.025)[-1] >= math.log(40)
    assert exact - 20 < once <= exact + 4
    assert often > 390


def test_plans_out_of_range_are_refused() -> None:
    """More prompts than planned, outcomes and means that cannot be."""
    with pytest.raises(ValueError, match="planned"):
        planned_log_e([0, 0], planned=1, alpha=0.05)
    with pytest.raises(ValueError, match="from -1 to 1"):
        planned_log_e([math.nan], planned=1, alpha=0.05)
    with pytest.raises(ValueError, match="strictly between"):
        planned_log_e([], planned=1, alpha=0.05, mean=-1)
    with pytest.raises(ValueError, match=r"0\.5"):
        planned_log_e([], planned=1, alpha=0.6)
