"""The reload experiment."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import CONFIRMING_BAYES_FACTOR, reload_log_bayes_factor

LEVEL = math.log(CONFIRMING_BAYES_FACTOR)


def confirmed_share(cold: float, warm: float, runs: int = 4, repeats: int = 4_000) -> float:
    """How often 4 + 4 runs confirm a cold start, with these pass rates."""
    source = random.Random(11)

    def draw(rate: float) -> int:
        return sum(source.random() < rate for _ in range(runs))

    return sum(reload_log_bayes_factor(draw(cold), runs, draw(warm), runs) >= LEVEL for _ in range(repeats)) / repeats


def test_the_documented_rates_hold() -> None:
    """4 + 4 runs confirm about 92 % of real cold starts and about 2.4 % of prompts that pass 70 % of the time."""
    assert confirmed_share(0.10, 0.98) == pytest.approx(0.92, abs=0.03)
    assert confirmed_share(0.70, 0.70) == pytest.approx(0.024, abs=0.01)


@given(st.integers(0, 6), st.integers(0, 6))
def test_evidence_grows_with_every_cold_failure(cold_passes: int, warm_passes: int) -> None:
    """Fewer passes right after an unload never speak less for a cold start."""
    if cold_passes > 0:
        fewer = reload_log_bayes_factor(cold_passes - 1, 6, 6, 6)
        assert fewer > reload_log_bayes_factor(cold_passes, 6, 6, 6)
    assert math.isfinite(reload_log_bayes_factor(cold_passes, 6, warm_passes, 6))


def test_nothing_measured_is_no_evidence_and_impossible_counts_are_refused() -> None:
    """Log 1 is 0; more passes than runs is an error."""
    assert reload_log_bayes_factor(0, 0, 0, 0) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="need"):
        reload_log_bayes_factor(5, 4, 0, 4)
