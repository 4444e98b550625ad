"""Figures over prompts in clusters: prompts that share a tool set succeed and fail together.

Every figure here is a function of sums over prompts, so a cluster is left out by a subtraction. All
of it is valid for one look at a fixed set of prompts, not for repeated looking.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .beta import student_t_quantile, student_t_two_sided
from .intervals import clopper_pearson_interval

Sums = Sequence[float]
Statistic = Callable[[Sums], float | None]
_EXACT = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        low, high: ends of the interval; None with fewer than two clusters, or when clusters do not
            differ.
        p_value: two-sided, for the hypothesis that the figure is 0; None when it is not known.
        clusters: how many there are.
    """

    value: float
    low: float | None
    high: float | None
    p_value: float | None
    clusters: int


def jackknife(clusters: Sequence[Sums], statistic: Statistic, *, confidence: float = 0.95, share: bool = True) -> Estimate | None:
    """The statistic of the summed clusters with its delete-one-cluster interval.

    None when it is not defined.

    se2 = (G - 1)/G sum (theta_-g - mean theta_-g)2 over the G clusters, interval theta -+ t_{G-1}
    se (Efron & Stein 1981, Ann. Statist. 9; for clustered shares Cameron & Miller 2015, J. Hum.
    Resour. 50). A jackknife sees no variance when clusters do not differ, so there is no interval
    then.

    Args:
        share: the figure lies in [0, 1]. The interval is clipped. When the figure is 0 or 1 in
            every cluster, the interval is that of Clopper & Pearson with the clusters as trials.

    Raises:
        ValueError: a sum is NaN or infinite, or the confidence is outside (0, 1).
    """
    if not all(math.isfinite(value) for cluster in clusters for value in cluster):
        raise ValueError("a sum over a cluster is missing (NaN or infinite): leave out prompts without an outcome")
    total = [math.fsum(column) for column in zip(*clusters, strict=True)]
    value = statistic(total) if clusters else None
    if value is None:
        return None
    left_out = (statistic([whole - part for whole, part in zip(total, cluster, strict=True)]) for cluster in clusters)
    thetas = [theta for theta in left_out if theta is not None]
    g = len(clusters)
    if g < 2 or len(thetas) < g:
        return Estimate(value, None, None, None, g)
    if share and all(abs(theta - value) < _EXACT for theta in thetas) and (value < _EXACT or value > 1 - _EXACT):
        exact = clopper_pearson_interval(round(value) * g, g, confidence)
        return Estimate(value, exact.low, exact.high, None, g)
    mean = math.fsum(thetas) / g
    se = math.sqrt((g - 1) / g * math.fsum((theta - mean) ** 2 for theta in thetas))
    if se < _EXACT:
        # Clusters that do not differ tell nothing about how others would. That all of them lean one
        # way does: the sign test has a chance of 2^(1-g) for it where no side is better.
        leaning = None if share else 2.0 ** (1 - g)
        return Estimate(value, None, None, 1.0 if abs(value) < _EXACT else leaning, g)
    half = student_t_quantile(confidence, g - 1) * se
    p_value = student_t_two_sided(value / se, g - 1)
    low, high = value - half, value + half
    return Estimate(value, max(0.0, low) if share else low, min(1.0, high) if share else high, p_value, g)


def paired_jackknife(
    ours: Sequence[Sums], theirs: Sequence[Sums], statistic: Statistic, *, confidence: float = 0.95
) -> Estimate | None:
    """The difference of a statistic between two sides (ours minus theirs), by `jackknife`.

    A cluster is left out on both sides at once, so what both find hard cancels. ValueError when the
    sides have different numbers of clusters.
    """
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} clusters on one side, {len(theirs)} on the other: they have to be the same")
    split = len(ours[0]) if ours else 0

    def difference(both: Sums) -> float | None:
        one, other = statistic(both[:split]), statistic(both[split:])
        return None if one is None or other is None else one - other

    pairs = [[*one, *other] for one, other in zip(ours, theirs, strict=True)]
    return jackknife(pairs, difference, confidence=confidence, share=False)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in the given order (Holm 1979, Scand. J. Statist. 6).

    The chance that any true hypothesis gets one of at most alpha is at most alpha, whatever their
    dependence. ValueError for a p-value outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values {list(p_values)}: need numbers in [0, 1]; leave out those that are not known")
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    stepped = (min(1.0, (len(order) - rank) * p_values[index]) for rank, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(stepped, max), strict=True))
    return [adjusted[index] for index in range(len(order))]
