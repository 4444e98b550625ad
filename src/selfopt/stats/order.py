"""Tests whether failures gather in the first (or last) runs, whatever each prompt's pass rate.

Null hypothesis: given a prompt's total of failures, every order of its row is equally likely, and
prompts are independent given their totals. The score of each row then has a known distribution (its
order is permuted, its loads stay in place). The distribution of the sum over prompts is the
convolution of these, and the p-value is exact. Scores are whole numbers (quarters of a nat), so the
tables are small. When the convolution would take too long, orders are drawn at random with a fixed
seed, and p = (1 + as high or higher) / (1 + drawn), which is valid too (Phipson & Smyth, 2010).

The score of a row is log(1 + likelihood ratio / 4) of the class looked for against flaky. It is the
most powerful statistic against "a fifth of the prompts are of that class" (Neyman & Pearson); a
count of early failures would lose most of its power to prompts that are merely flaky. Valid for one
look at a fixed number of runs.

Source: Fisher's exact test in strata (Mantel, 1963), with the score in place of the count.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import cache

from .patterns import MAX_COLD_RUNS, MIN_PATTERN_RUNS
from .row_models import PassRow, cold_log_ratio, drift_log_ratio, log_sum_exp

_ODDS = 0.25
_PER_NAT = 4
_EXACT_STEPS = 1_500_000
_DRAWS = 1_999

Scores = Mapping[int, float]
"""The probability of each score of a row under the null.

Shared between calls, so nobody may change it.
"""


def cold_order_p(rows: Sequence[PassRow], *, exact_steps: int = _EXACT_STEPS) -> float:
    """The p-value of "failures gather in the first runs by chance only", with load evidence.

    Rows of fewer than 5 runs cannot tell, and neither can rows that only pass or only fail. When no
    row can, the p-value is 1.0.

    Args:
        exact_steps: how many additions the exact convolution may take.
    """
    observed, scores = 0, []
    for row in rows:
        n, failures = len(row.passes), row.failures
        if n >= MIN_PATTERN_RUNS and 0 < failures < n:
            loads = row.loads[:MAX_COLD_RUNS]
            observed += _score(cold_log_ratio(row.passes[:MAX_COLD_RUNS], loads, n, failures))
            scores.append(_cold_scores(n, failures, loads))
    return _tail(scores, observed, exact_steps)


def drift_order_p(rows: Sequence[PassRow], *, exact_steps: int = _EXACT_STEPS) -> float:
    """The p-value of "failures gather in the last runs no more than by chance"; see `cold_order_p`.

    A row with f failures is judged by how many of them are among its last f runs. Rows with fewer
    than two failures or fewer than two passes cannot tell.
    """
    observed, scores = 0, []
    for row in rows:
        n, failures = len(row.passes), row.failures
        if n >= MIN_PATTERN_RUNS and 2 <= failures <= n - 2:
            late = failures - sum(row.passes[n - failures :])
            observed += _score(drift_log_ratio(late, n, failures))
            scores.append(_drift_scores(n, failures))
    return _tail(scores, observed, exact_steps)


def _score(log_ratio: float) -> int:
    return round(_PER_NAT * log_sum_exp((0.0, math.log(_ODDS) + log_ratio)))


@cache
def _cold_scores(n: int, failures: int, loads: tuple[bool | None, ...]) -> Scores:
    """The scores over all orders.

    A given pattern of g failures in the first three runs has probability C(n-3, f-g) / C(n, f).
    """
    found: dict[int, float] = {}
    for bits in range(1 << MAX_COLD_RUNS):
        first = tuple(not bits >> index & 1 for index in range(MAX_COLD_RUNS))
        early = MAX_COLD_RUNS - sum(first)
        if 0 <= failures - early <= n - MAX_COLD_RUNS:
            score = _score(cold_log_ratio(first, loads, n, failures))
            found[score] = found.get(score, 0.0) + math.comb(n - MAX_COLD_RUNS, failures - early) / math.comb(n, failures)
    return found


@cache
def _drift_scores(n: int, failures: int) -> Scores:
    """The scores over all orders.

    The number of failures among the last `failures` runs is hypergeometric.
    """
    found: dict[int, float] = {}
    least = max(0, 2 * failures - n)
    orders = math.comb(n, failures)
    # How many orders put `late` failures there. Each count follows from the one before it, because a binomial coefficient of
    # thousands is slow to compute afresh.
    among, elsewhere = math.comb(failures, least), math.comb(n - failures, failures - least)
    for late in range(least, failures + 1):
        score = _score(drift_log_ratio(late, n, failures))
        found[score] = found.get(score, 0.0) + among * elsewhere / orders
        among = among * (failures - late) // (late + 1)
        elsewhere = elsewhere * (failures - late) // (n - 2 * failures + late + 1)
    return found


def _tail(scores: Sequence[Scores], observed: int, exact_steps: int) -> float:
    """P(sum >= observed) over independent rows."""
    if observed <= 0:
        return 1.0
    # Sorted, because sums of floats and random draws depend on the order.
    telling = sorted((s for s in scores if any(s)), key=lambda s: sorted(s.items()))
    steps, top = 0, 0
    for row in telling:
        top = min(observed, top + max(row))
        steps += len(row) * top
    return _drawn_tail(telling, observed) if steps > exact_steps else _exact_tail(telling, observed)


def _exact_tail(scores: Sequence[Scores], observed: int) -> float:
    """The tail by convolution.

    Everything from `observed` on is kept in one cell, because scores only add up.
    """
    total = [1.0]
    for row in scores:
        width = min(observed + 1, len(total) + max(row))
        following = [0.0] * width
        for score, chance in row.items():
            for reached, mass in enumerate(total):
                following[min(observed, reached + score)] += mass * chance
        total = following
    return min(1.0, total[observed]) if len(total) > observed else 0.0


def _drawn_tail(scores: Sequence[Scores], observed: int) -> float:
    source = random.Random(0)
    sums = [0] * _DRAWS
    for row in scores:
        drawn = source.choices(list(row), list(row.values()), k=_DRAWS)
        sums = [total + score for total, score in zip(sums, drawn, strict=True)]
    return (1 + sum(total >= observed for total in sums)) / (1 + _DRAWS)
