"""Reads the plain pattern of a row of outcomes over runs, in the order of time (True: pass)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from statistics import NormalDist

MAX_COLD_RUNS = 3
MIN_PATTERN_RUNS = 5
_MIN_RUNS = 3
_EXACT_LIMIT = 2_000


class RowPattern(StrEnum):
    """What a row looks like.

    A look is no proof: `cold_start` and `drift` also arise by chance. A prompt that passes 70 % of
    the time reads F..FP..P in 5.7 % of rows of seven. A finding therefore needs load evidence or a
    test over prompts.
    """

    TOO_SHORT = "too_short"
    STABLE = "stable"
    INCAPABLE = "incapable"
    COLD_START = "cold_start"
    DRIFT = "drift"
    FLAKY = "flaky"


def _check(passes: Sequence[bool]) -> None:
    """Raise ValueError for an outcome that is neither True nor False.

    A missing one is no failure, and NaN no pass.
    """
    for value in passes:
        if value is not True and value is not False:
            raise ValueError(f"outcome {value!r} in a row: allowed are True and False; leave out runs without an outcome")


def cold_prefix(passes: Sequence[bool]) -> int | None:
    """How many failures (1 to 3) a row begins with, if only passes follow and they are more.

    None for any other row. ValueError for missing outcomes.
    """
    _check(passes)
    failures = sum(not p for p in passes)
    if not 1 <= failures <= MAX_COLD_RUNS or 2 * failures >= len(passes):
        return None
    return failures if all(passes[failures:]) else None


def read_row(passes: Sequence[bool]) -> RowPattern:
    """The plain pattern of a row.

    Fewer than 3 runs say nothing (`too_short`). When all pass it is `stable`, when none does
    `incapable`. With 5 runs or more, F(1-3)P.. is `cold_start` and P..F(2 or more) is `drift`.
    Everything else is `flaky`. Valid for one look. ValueError for missing outcomes.
    """
    _check(passes)
    n = len(passes)
    if n < _MIN_RUNS:
        return RowPattern.TOO_SHORT
    failures = sum(not p for p in passes)
    if failures == 0:
        return RowPattern.STABLE
    if failures == n:
        return RowPattern.INCAPABLE
    if n >= MIN_PATTERN_RUNS:
        if cold_prefix(passes) is not None:
            return RowPattern.COLD_START
        if failures >= 2 and all(passes[: n - failures]):
            return RowPattern.DRIFT
    return RowPattern.FLAKY


def exchangeability_p(rows: Sequence[Sequence[bool]], sizes: Sequence[int], *, late: bool = False) -> float:
    """The p-value of "failures do not gather in the first k runs" (late: in the last k).

    Given a prompt's total of failures, every order is equally likely under the null, whatever its
    pass rate. The early failures of a prompt are then hypergeometric, and their sum over prompts is
    convolved exactly (for large tables by a normal approximation with continuity correction).
    Prompts are taken as independent given the totals. Valid for one look at a fixed number of runs.

    Source: Fisher's exact test in strata (Mantel, 1963).

    Args:
        rows: outcomes by prompt. Rows that are not longer than k take no part in that k.
        sizes: the values of k. The smallest p is multiplied by their number (Bonferroni).

    Returns:
        The p-value; 1.0 when no row can tell.

    Raises:
        ValueError: an outcome is missing.
    """
    for row in rows:
        _check(row)
    tried = [k for k in dict.fromkeys(sizes) if k >= 1]
    smallest = min((_early_failures_p(rows, k, late) for k in tried), default=1.0)
    return min(1.0, len(tried) * smallest) if tried else 1.0


def _early_failures_p(rows: Sequence[Sequence[bool]], k: int, late: bool) -> float:
    telling = [row for row in rows if len(row) > k and 0 < sum(row) < len(row)]
    if not telling:
        return 1.0
    observed = sum(k - sum(row[-k:] if late else row[:k]) for row in telling)
    tables = [(len(row), len(row) - sum(row)) for row in telling]
    if len(tables) * k > _EXACT_LIMIT:
        return _normal_tail(tables, k, observed)
    distribution = [1.0]
    for n, failures in tables:
        distribution = _convolve(distribution, _hypergeometric(n, failures, k))
    return min(1.0, max(0.0, math.fsum(distribution[observed:])))


def _hypergeometric(n: int, failures: int, k: int) -> list[float]:
    total = math.comb(n, k)
    return [math.comb(failures, t) * math.comb(n - failures, k - t) / total for t in range(min(failures, k) + 1)]


def _convolve(left: Sequence[float], right: Sequence[float]) -> list[float]:
    result = [0.0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            result[i + j] += a * b
    return result


def _normal_tail(tables: Sequence[tuple[int, int]], k: int, observed: int) -> float:
    mean = math.fsum(k * f / n for n, f in tables)
    variance = math.fsum(k * (f / n) * (1 - f / n) * (n - k) / (n - 1) for n, f in tables)
    return 1.0 - NormalDist().cdf((observed - 0.5 - mean) / math.sqrt(variance))
