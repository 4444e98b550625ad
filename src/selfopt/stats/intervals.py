"""Intervals of a share from successes in n independent trials.

Valid for one look at a fixed n, not for repeated looking.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from .beta import bisected, incomplete_beta

_BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval of a share in [0, 1], or of a difference of shares in [-1, 1]."""

    low: float
    high: float


def _check(successes: int, n: int, confidence: float) -> None:
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: need 0 <= successes <= n")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: need a value strictly between 0 and 1")


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The two-sided score interval (p + z2/2n -+ z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n).

    Coverage is close to `confidence` on average, but not guaranteed. n = 0 gives [0, 1]. ValueError
    for counts or confidence out of range. Source: Wilson (1927), JASA 22.
    """
    _check(successes, n, confidence)
    if n == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if successes == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if successes == n else min(1.0, (centre + half) / scale)
    return Interval(min(low, p), max(high, p))


def clopper_pearson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact two-sided interval: coverage is at least `confidence` for every true share.

    n = 0 gives [0, 1]. ValueError for counts or confidence out of range. Source: Clopper & Pearson
    (1934), Biometrika 26.
    """
    _check(successes, n, confidence)
    tail = (1 - confidence) / 2
    return Interval(1 - _upper(n - successes, n, tail), _upper(successes, n, tail))


def clopper_pearson_upper(successes: int, n: int, confidence: float = 0.95) -> float:
    """The exact upper bound: `successes` or fewer have probability 1 - confidence under it.

    0 of 3 at 0.95 gives 0.632: three failures of three say little. n = 0 gives 1. Source and errors
    are those of the interval.
    """
    _check(successes, n, confidence)
    return _upper(successes, n, 1 - confidence)


def _upper(successes: int, n: int, tail: float) -> float:
    """The p with P(X <= successes | n, p) = tail.

    It is the beta quantile at 1 - tail of (successes + 1, n - successes).
    """
    if successes >= n:
        return 1.0
    # P(X <= s) = I_{1-p}(n - s, s + 1), which falls in p.
    above = bisected(successes / n, 1.0, lambda p: incomplete_beta(n - successes, successes + 1, 1 - p) > tail, _BISECTIONS)
    return above[1]
