"""Bisection, the incomplete beta function, and Student's t distribution, which follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable

_TINY = 1e-300
_BISECTIONS = 80


def bisected(low: float, high: float, holds: Callable[[float], bool], steps: int) -> tuple[float, float]:
    """Narrow an interval by bisection, so many times.

    The condition holds at and beyond the first end, and not at the second. `low` may be the larger.

    Returns:
        The two ends of the last interval.
    """
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for a, b > 0, with x clamped to [0, 1].

    Computed by its continued fraction (DLMF 8.17.22) with the modified Lentz method. The relative
    error is about 1e-13.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, 1 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > _TINY else _TINY)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = 1.0
        for term in (even, odd):
            d = 1 + term * d
            d = 1 / (d if abs(d) > _TINY else _TINY)
            c = 1 + term / c
            c = c if abs(c) > _TINY else _TINY
            step = c * d
            value *= step
        if abs(step - 1) < 1e-14:
            break
    return math.exp(log_front) * value / a


def student_t_two_sided(t: float, df: int) -> float:
    """P(|T| >= |t|) for df >= 1 degrees of freedom (Abramowitz & Stegun 26.7.1)."""
    if df < 1:
        raise ValueError(f"{df} degrees of freedom: at least 1")
    return 1.0 if t == 0 else incomplete_beta(df / 2, 0.5, df / (df + t * t))


def student_t_quantile(confidence: float, df: int) -> float:
    """The t > 0 with P(|T| <= t) = confidence, found by bisection.

    ValueError for a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}: need a value strictly between 0 and 1")
    low, high = 0.0, 1.0
    while student_t_two_sided(high, df) > 1 - confidence:
        high *= 2
    return sum(bisected(low, high, lambda t: student_t_two_sided(t, df) > 1 - confidence, _BISECTIONS)) / 2
