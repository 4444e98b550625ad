"""The tests over prompts that failures gather in the first or the last runs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.stats import PassRow, cold_order_p, drift_order_p
from selfopt.stats.order import _score
from selfopt.stats.row_models import cold_log_ratio, drift_log_ratio


def row(letters: str, loads: tuple[bool | None, ...] = ()) -> PassRow:
    return PassRow(tuple(letter == "P" for letter in letters), loads)


def orders(one: PassRow) -> list[PassRow]:
    """Every order of the outcomes, the loads where they are."""
    return [PassRow(passes, one.loads) for passes in itertools.permutations(one.passes)]


def cold_score(one: PassRow) -> int:
    n = len(one.passes)
    return _score(cold_log_ratio(one.passes[:3], one.loads[:3], n, one.failures)) if 0 < one.failures < n else 0


def drift_score(one: PassRow) -> int:
    n, failures = len(one.passes), one.failures
    if not 2 <= failures <= n - 2:
        return 0
    return _score(drift_log_ratio(failures - sum(one.passes[n - failures :]), n, failures))


TABLES = [
    [row("FFPPP"), row("FPPFP")],
    [row("FPPPP", (True, None, None, None, None)), row("PFFPP", (None, False, True, None, None)), row("PPPPP")],
    [row("FPPPPP"), row("PPFFFF", (True, True, False, False, False, False))],
]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("test", "score"), [(cold_order_p, cold_score), (drift_order_p, drift_score)])
def test_the_exact_test_agrees_with_counting_all_orders(
    table: list[PassRow], test: Callable[[list[PassRow]], float], score: Callable[[PassRow], int]
) -> None:
    """Every order of every prompt, counted one by one."""
    observed = sum(score(one) for one in table)
    sums = [sum(combination) for combination in itertools.product(*([score(o) for o in orders(one)] for one in table))]
    assert test(table) == pytest.approx(sum(total >= observed for total in sums) / len(sums))


@pytest.mark.parametrize("test", [cold_order_p, drift_order_p])
def test_draws_agree_with_the_exact_test(test: Callable[..., float]) -> None:
    """Where the convolution would take too long; the same draws every time, whatever the order of the prompts."""
    source = random.Random(3)
    for _ in range(5):
        table = [PassRow(tuple(source.random() < 0.7 for _ in range(7))) for _ in range(40)]
        drawn = test(table, exact_steps=0)
        assert drawn == pytest.approx(test(table), abs=0.04)
        assert drawn == test(table[::-1], exact_steps=0)


@pytest.mark.parametrize("test", [cold_order_p, drift_order_p])
@pytest.mark.parametrize("rate", [0.3, 0.7, 0.9])
def test_false_alarms_stay_under_the_level(test: Callable[[list[PassRow]], float], rate: float) -> None:
    """Purely flaky tables (12 prompts, 7 runs), loads that mean nothing: p < .05 in at most 5 % of cases, with room for chance."""
    source, alarms = random.Random(7), 0
    for _ in range(400):
        table = [
            PassRow(tuple(source.random() < rate for _ in range(7)), tuple(source.random() < 0.3 for _ in range(7)))
            for _ in range(12)
        ]
        alarms += test(table) < 0.05
    assert alarms <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


any_rows = st.lists(st.lists(st.booleans(), min_size=1, max_size=12).map(lambda passes: PassRow(tuple(passes))), max_size=8)


@settings(deadline=None)
@given(any_rows)
def test_a_p_value_is_a_probability_and_at_least_that_of_the_best_order(table: list[PassRow]) -> None:
    """Failures moved to the front: nothing is stronger evidence for a cold start; to the back: for a drift."""
    front = [PassRow(tuple(sorted(one.passes))) for one in table]
    back = [PassRow(one.passes[::-1]) for one in front]
    assert 0 <= cold_order_p(front) <= cold_order_p(table) <= 1
    assert 0 <= drift_order_p(back) <= drift_order_p(table) <= 1


def test_what_cannot_tell_says_nothing() -> None:
    """No rows, short rows, rows that only pass or only fail."""
    for table in ([], [row("FPPP")], [row("PPPPPPP"), row("FFFFFFF")]):
        assert cold_order_p(table) == 1.0
        assert drift_order_p(table) == 1.0


def test_a_lone_row_says_what_its_orders_allow() -> None:
    """FFPPPPP is one of 21 orders, FPPPPPP one of 7."""
    assert cold_order_p([row("FFPPPPP")]) == pytest.approx(1 / 21)
    assert cold_order_p([row("FPPPPPP")]) == pytest.approx(1 / 7)
    assert drift_order_p([row("PPPPPFF")]) == pytest.approx(1 / 21)


def test_a_cold_start_in_8_percent_of_200_prompts_is_seen() -> None:
    """Among flaky and drifting ones, where a count of early failures sees it in a third of cases."""
    source, seen = random.Random(2), 0
    for _ in range(20):
        table = [row("FPPPPPP")] * 10 + [row("FFPPPPP")] * 6 + [row("PPPPFFF")] * 14
        table += [PassRow(tuple(source.random() < 0.6 for _ in range(7))) for _ in range(50)]
        seen += cold_order_p(table) < 0.05
    assert seen == 20
