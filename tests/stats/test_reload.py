"""The reload experiment."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import CONFIRMING_BAYES_FACTOR, rank_p, reload_log_bayes_factor, suite_log_bayes_factor

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
    for missing in (math.nan, math.inf):
        with pytest.raises(ValueError, match="is missing"):
            suite_log_bayes_factor([0.3, missing])


factors = st.lists(st.floats(-50, 50), min_size=1, max_size=30)


@given(st.floats(-50, 50))
def test_a_suite_of_one_prompt_has_that_prompts_factor(factor: float) -> None:
    """Nothing is paid for the one place where it can be."""
    assert suite_log_bayes_factor([factor]) == pytest.approx(factor)


@given(factors, st.integers(0, 29), st.floats(0, 20))
def test_more_evidence_of_one_prompt_is_never_less_of_the_suite(seen: list[float], place: int, more: float) -> None:
    """Monotone in every prompt, and never more than all of it together."""
    place %= len(seen)
    grown = [value + more * (index == place) for index, value in enumerate(seen)]
    assert suite_log_bayes_factor(grown) >= suite_log_bayes_factor(seen) - 1e-9
    assert suite_log_bayes_factor(seen) <= sum(max(0.0, value) for value in seen) + 1e-9


def suites_confirmed(rate: float, prompts: int, repeats: int) -> float:
    """How often suites that are flaky throughout are confirmed by 4 + 4 runs."""
    source, hits = random.Random(2), 0
    for _ in range(repeats):
        counts = [[sum(source.random() < rate for _ in range(4)) for _ in range(2)] for _ in range(prompts)]
        hits += suite_log_bayes_factor([reload_log_bayes_factor(cold, 4, warm, 4) for cold, warm in counts]) >= LEVEL
    return hits / repeats


@pytest.mark.parametrize(("prompts", "repeats"), [(12, 1000), (100, 100)])
def test_many_flaky_prompts_confirm_no_more_than_one_does(prompts: int, repeats: int) -> None:
    """Each of them is confirmed in 2.4 % of cases; the best of twelve would be in 25 %."""
    assert suites_confirmed(0.7, prompts, repeats) <= 0.03


def test_a_cold_start_of_the_first_call_alone_is_confirmed_in_a_suite() -> None:
    """The load hits whoever comes first; the other eleven always pass. A prompt in the middle is one of many places."""
    hit, spared = reload_log_bayes_factor(0, 4, 4, 4), reload_log_bayes_factor(4, 4, 4, 4)
    assert suite_log_bayes_factor([hit, *[spared] * 11]) >= LEVEL
    assert suite_log_bayes_factor([*[spared] * 6, hit, *[spared] * 5]) < LEVEL
    assert suite_log_bayes_factor([hit] * 12) > 10 * LEVEL
    with pytest.raises(ValueError, match="at least one"):
        suite_log_bayes_factor([])


def test_latencies_that_lie_apart_have_the_p_value_of_their_ranks() -> None:
    """4 against 4: 1 of 70; one overlap: 2 of 70; two pairs: 1 of 6; equal ones say nothing."""
    assert rank_p([700, 800, 900, 750], [70, 80, 60, 90]) == pytest.approx(1 / 70)
    assert rank_p([700, 800, 900, 85], [70, 80, 60, 90]) == pytest.approx(2 / 70)
    assert rank_p([700, 800], [70, 80]) == pytest.approx(1 / 6)
    assert rank_p([1, 1, 1], [1, 1, 1]) == 1.0
    assert rank_p([], [1.0]) == rank_p([1.0], []) == 1.0
    with pytest.raises(ValueError, match="not finite"):
        rank_p([math.nan], [1.0])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_ranks_agree_with_counting_all_ways_to_share_them_out(higher: list[int], lower: list[int]) -> None:
    """Ties included."""
    values = higher + lower
    ranks = [sum(v < one for v in values) + (sum(v == one for v in values) + 1) / 2 for one in values]
    ways = [sum(chosen) for chosen in itertools.combinations(ranks, len(higher))]
    observed = sum(ranks[: len(higher)])
    assert rank_p(higher, lower) == pytest.approx(sum(way >= observed for way in ways) / len(ways))


def test_many_latencies_are_compared_by_the_normal_approximation() -> None:
    """Near the exact value at the border, and 1.0 where all are equal."""
    source = random.Random(4)
    higher, lower = [source.gauss(0.4, 1) for _ in range(30)], [source.gauss(0, 1) for _ in range(30)]
    exact = rank_p(higher, lower)
    assert rank_p([*higher, 0.2], lower) == pytest.approx(exact, rel=0.3)
    assert rank_p([1.0] * 40, [1.0] * 40) == 1.0
