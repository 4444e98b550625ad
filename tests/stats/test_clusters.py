"""Figures over clusters: the jackknife against what is known of it, Holm, Student's t."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.stats import holm, jackknife, paired_jackknife, student_t_quantile, student_t_two_sided


def share(sums: Sequence[float]) -> float | None:
    """Passes of all."""
    return sums[0] / sums[1] if sums[1] else None


@pytest.mark.parametrize(("df", "t"), [(1, 12.706), (5, 2.571), (30, 2.042), (1000, 1.962)])
def test_the_quantile_of_t_is_the_one_of_the_tables(df: int, t: float) -> None:
    """Two-sided 95 %; the tail function is its inverse."""
    assert student_t_quantile(0.95, df) == pytest.approx(t, abs=2e-3)
    assert student_t_two_sided(student_t_quantile(0.95, df), df) == pytest.approx(0.05, abs=1e-9)


@given(st.lists(st.booleans(), min_size=3, max_size=40))
def test_single_prompt_clusters_give_the_standard_error_of_a_mean(passes: list[bool]) -> None:
    """For a mean of n values the jackknife is s / sqrt(n) exactly (Efron & Stein 1981)."""
    found = jackknife([(float(p), 1.0) for p in passes], share, share=False)
    assert found is not None
    n, p = len(passes), sum(passes) / len(passes)
    assert found.value == pytest.approx(p)
    if 0 < sum(passes) < n:
        se = math.sqrt(p * (1 - p) / (n - 1))
        assert found.low is not None
        assert found.value - found.low == pytest.approx(student_t_quantile(0.95, n - 1) * se)


def test_prompts_that_fail_together_widen_the_interval() -> None:
    """Ten tool sets of ten prompts, each all right or all wrong, are ten observations, not a hundred."""
    together = jackknife([(10.0 * (i % 2), 10.0) for i in range(10)], share)
    apart = jackknife([(float(i % 2), 1.0) for i in range(100)], share)
    assert together is not None
    assert apart is not None
    assert together.high is not None
    assert apart.high is not None
    assert together.high - together.value > 3 * (apart.high - apart.value)


def test_all_right_everywhere_is_not_certainty() -> None:
    """The exact interval of as many trials as there are clusters; other figures without any variance have none."""
    found = jackknife([(5.0, 5.0)] * 8, share)
    assert found is not None
    assert found.high == 1.0
    assert found.low == pytest.approx(0.025 ** (1 / 8))
    flat = jackknife([(1.0, 2.0)] * 8, share)
    assert flat is not None
    assert (flat.value, flat.low, flat.high) == (0.5, None, None)


def test_nothing_that_carries_a_figure_gives_none_and_one_cluster_no_interval() -> None:
    """No data is a value of its own."""
    assert jackknife([], share) is None
    assert jackknife([(0.0, 0.0)] * 3, share) is None
    one = jackknife([(3.0, 4.0)], share)
    assert one is not None
    assert (one.value, one.low, one.p_value) == (0.75, None, None)


def test_the_paired_interval_covers_and_is_narrower_than_an_unpaired_one() -> None:
    """What both find hard takes no part; of 300 null worlds about 5 % are called different."""
    draw = random.Random(5)
    called = 0
    for _ in range(300):
        ours, theirs = [], []
        for _ in range(20):
            hard = draw.random()
            ours.append((float(sum(draw.random() < hard for _ in range(5))), 5.0))
            theirs.append((float(sum(draw.random() < hard for _ in range(5))), 5.0))
        found = paired_jackknife(ours, theirs, share)
        assert found is not None
        called += found.p_value is not None and found.p_value <= 0.05
    assert 4 <= called <= 30
    with pytest.raises(ValueError, match="have to be the same"):
        paired_jackknife([(1.0, 1.0)], [], share)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_the_order(p_values: list[float]) -> None:
    """At most one each, the smallest times their number."""
    adjusted = holm(p_values)
    assert all(a >= p or a == 1.0 for a, p in zip(adjusted, p_values, strict=True))
    assert all(a <= 1 for a in adjusted)
    ordered = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert [adjusted[i] for i in ordered] == sorted(adjusted)
    if p_values:
        assert min(adjusted) == pytest.approx(min(1.0, min(p_values) * len(p_values)))


def test_missing_sums_and_p_values_are_refused() -> None:
    """NaN is no figure, and no p-value."""
    with pytest.raises(ValueError, match="missing"):
        jackknife([[1.0, 2.0], [math.nan, 2.0]], share)
    for p in (math.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="not known"):
            holm([0.01, p])


def test_clusters_that_all_lean_one_way_by_the_same_amount_are_told_apart() -> None:
    """A side that is right on every prompt is not the same as one that is wrong on each."""

    def share(sums: Sequence[float]) -> float | None:
        return sums[0] / sums[1] if sums[1] else None

    wrong, right = [(0.0, 1.0)] * 12, [(1.0, 1.0)] * 12
    found = paired_jackknife(wrong, right, share)
    assert found is not None
    assert (found.value, found.low, found.high) == (-1.0, None, None)
    assert found.p_value == pytest.approx(2.0**-11)
    same = paired_jackknife(right, right, share)
    assert same is not None
    assert same.p_value == 1.0
