"""The plain reading of rows."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import RowPattern, cold_prefix, exchangeability_p, read_row
from selfopt.stats.patterns import _early_failures_p, _normal_tail

rows = st.lists(st.booleans(), max_size=12)


def row(letters: str) -> list[bool]:
    return [letter == "P" for letter in letters]


@pytest.mark.parametrize(
    ("letters", "pattern"),
    [
        ("", RowPattern.TOO_SHORT),
        ("FP", RowPattern.TOO_SHORT),
        ("PPP", RowPattern.STABLE),
        ("FFF", RowPattern.INCAPABLE),
        ("FPP", RowPattern.FLAKY),
        ("FFPPPPP", RowPattern.COLD_START),
        ("FPPPP", RowPattern.COLD_START),
        ("FFFPPPP", RowPattern.COLD_START),
        ("FFFFPPP", RowPattern.FLAKY),
        ("FFPPPFP", RowPattern.FLAKY),
        ("PPPPPFF", RowPattern.DRIFT),
        ("PFFFFFF", RowPattern.DRIFT),
        ("PPPPPPF", RowPattern.FLAKY),
    ],
)
def test_rows_are_read_as_documented(letters: str, pattern: RowPattern) -> None:
    """One row of each sort and its neighbours."""
    assert read_row(row(letters)) is pattern


@given(rows)
def test_a_cold_prefix_is_failures_then_passes_only(passes: list[bool]) -> None:
    """And never more failures than passes."""
    k = cold_prefix(passes)
    if k is not None:
        assert not any(passes[:k])
        assert all(passes[k:])
        assert 1 <= k < len(passes) - k


@given(st.lists(rows, max_size=8), st.lists(st.integers(0, 6), max_size=4), st.booleans())
def test_a_p_value_is_a_probability_for_any_table(table: list[list[bool]], sizes: list[int], late: bool) -> None:
    """Ragged and empty rows included."""
    assert 0.0 <= exchangeability_p(table, sizes, late=late) <= 1.0


@given(st.lists(rows, max_size=6), st.integers(1, 4))
def test_late_failures_are_early_failures_read_backwards(table: list[list[bool]], k: int) -> None:
    """One test, two directions."""
    turned = [list(reversed(passes)) for passes in table]
    assert exchangeability_p(table, [k], late=True) == pytest.approx(exchangeability_p(turned, [k]))


def test_the_exact_test_agrees_with_counting_all_orders() -> None:
    """Every order of the failures of two prompts, counted one by one."""
    table, k = [row("FFPPP"), row("FPPFP")], 2
    observed = sum(not p for passes in table for p in passes[:k])
    orders = [set(itertools.permutations(passes)) for passes in table]
    pairs = list(itertools.product(*orders))
    hits = sum(sum(not p for passes in pair for p in passes[:k]) >= observed for pair in pairs)
    assert exchangeability_p(table, [k]) == pytest.approx(hits / len(pairs))


def test_twelve_cold_rows_are_significant_and_one_is_not() -> None:
    """One FFPPPPP arises by chance too easily, above all when three sizes are tried."""
    assert exchangeability_p([row("FFPPPPP")] * 12, (1, 2, 3)) < 1e-9
    assert exchangeability_p([row("FFPPPPP")], (1, 2, 3)) > 0.05
    assert exchangeability_p([row("FFFFFFF"), row("PPPPPPP")], (1, 2, 3)) == 1.0
    assert exchangeability_p([row("FFPPPPP")], ()) == 1.0


def test_false_alarms_stay_under_the_level() -> None:
    """Purely flaky tables (12 prompts, 7 runs) give p < 0.05 in at most 5 % of cases, with some room for chance."""
    source = random.Random(7)
    alarms = 0
    for _ in range(400):
        table = [[source.random() < 0.7 for _ in range(7)] for _ in range(12)]
        alarms += exchangeability_p(table, (1, 2, 3)) < 0.05
    assert alarms <= 400 * 0.05 + 3 * (400 * 0.05 * 0.95) ** 0.5


def test_large_tables_use_the_normal_approximation_and_agree_with_the_exact_one() -> None:
    """At the border both forms give nearly the same."""
    source = random.Random(3)
    table = [[source.random() < 0.7 for _ in range(10)] for _ in range(300)]
    tables = [(10, sum(not p for p in passes)) for passes in table if 0 < sum(passes) < 10]
    observed = sum(not p for passes in table if 0 < sum(passes) < 10 for p in passes[:2])
    assert _normal_tail(tables, 2, observed) == pytest.approx(_early_failures_p(table, 2, late=False), abs=0.01)
    assert 0 <= exchangeability_p(table * 10, (1, 2)) <= 1


@pytest.mark.parametrize("missing", [None, math.nan, 1, "P"])
def test_a_missing_outcome_is_refused_and_no_failure(missing: Any) -> None:
    """Nor a pass, which NaN would be."""
    whole = [False, False, True, True, True]
    for read in (read_row, cold_prefix, lambda r: exchangeability_p([whole, r], [1])):
        with pytest.raises(ValueError, match="leave out runs without an outcome"):
            read([*whole, missing])
