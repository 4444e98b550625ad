"""A logistic regression whose weights are never negative, for a handful of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

_ROUNDS = 60
_SWEEPS = 200
_CLOSE = 1e-9


def logistic(odds: float) -> float:
    """The probability at these log odds, without overflow."""
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, odds))))


def non_negative_logistic(
    columns: Sequence[Sequence[float]], right: Sequence[bool], *, ridge: float = 0.1
) -> tuple[float, tuple[float, ...]]:
    """The intercept b and the weights w >= 0 that minimise

        sum_i log(1 + exp(-s_i (b + w x_i))) + ridge/2 (b2 + sum w2),  s_i = 1 if right, else -1.

    With non-negative weights a higher feature never lowers the probability. The ridge makes the
    minimum unique and finite, also where all are right or the features separate right from wrong.
    Rows are sorted first, so their order changes no bit of the result.

    Newton's method: each step minimises the quadratic approximation over w >= 0 by coordinate
    descent (Friedman, Hastie & Tibshirani 2010, J. Stat. Softw. 33), and is halved until the
    objective falls. It is convex, so that this finds its minimum.

    Args:
        columns: of each feature, the values of all rows; finite, best within [0, 1].
        right: of each row.
        ridge: above 0, in units of the curvature of a row (a quarter at most).

    Raises:
        ValueError: a column has another length than `right`, a value is not finite, or the ridge is
            not above 0.
    """
    if not 0 < ridge < math.inf:
        raise ValueError(f"ridge {ridge}: need a finite number above 0")
    if any(len(column) != len(right) for column in columns):
        raise ValueError(f"columns of {[len(column) for column in columns]} values for {len(right)} outcomes: need as many")
    if not all(math.isfinite(value) for column in columns for value in column):
        raise ValueError("a feature is missing (NaN or infinite): give missing values a feature of their own")
    rows = sorted(zip(*columns, map(float, right), strict=True))
    *sorted_columns, outcomes = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(len(columns) + 1)]
    design = [[1.0] * len(outcomes), *sorted_columns]
    beta = [0.0] * len(design)
    odds = [0.0] * len(outcomes)
    value = _objective(odds, outcomes, beta, ridge)
    for _ in range(_ROUNDS):
        wanted = _quadratic_minimum(design, outcomes, odds, beta, ridge)
        size, before = 1.0, value
        while size > 1e-6:
            tried = [old + size * (new - old) for old, new in zip(beta, wanted, strict=True)]
            tried_odds = _odds(design, tried)
            value = _objective(tried_odds, outcomes, tried, ridge)
            if value <= before:
                break
            size /= 2
        else:
            break
        beta, odds = tried, tried_odds
        if before - value < _CLOSE * (1 + abs(value)):
            break
    return beta[0], tuple(beta[1:])


def _odds(design: Sequence[Sequence[float]], beta: Sequence[float]) -> list[float]:
    total = [beta[0]] * len(design[0])
    for weight, column in zip(beta[1:], design[1:], strict=True):
        if weight:
            total = [sum_ + weight * x for sum_, x in zip(total, column, strict=True)]
    return total


def _objective(odds: Sequence[float], outcomes: Sequence[float], beta: Sequence[float], ridge: float) -> float:
    # log(1 + exp(o)) - y o, without overflow.
    losses = (max(o, 0.0) + math.log1p(math.exp(-abs(o))) - y * o for o, y in zip(odds, outcomes, strict=True))
    return math.fsum(losses) + ridge / 2 * sum(b * b for b in beta)


def _quadratic_minimum(
    design: Sequence[Sequence[float]], outcomes: Sequence[float], odds: Sequence[float], beta: Sequence[float], ridge: float
) -> list[float]:
    """Where the quadratic approximation at `beta` is least, with weights of at least 0."""
    chances = [logistic(o) for o in odds]
    curves = [max(1e-6, p * (1 - p)) for p in chances]
    residues = [p - y for p, y in zip(chances, outcomes, strict=True)]
    n = len(design)
    gradient = [sum(map(mul, column, residues)) + ridge * b for column, b in zip(design, beta, strict=True)]
    hessian = [[0.0] * n for _ in range(n)]
    for i in range(n):
        curved = list(map(mul, design[i], curves))
        for j in range(i, n):
            hessian[i][j] = hessian[j][i] = sum(map(mul, curved, design[j])) + (ridge if i == j else 0.0)
    found = list(beta)
    for _ in range(_SWEEPS):
        moved = 0.0
        for i in range(n):
            slope = gradient[i] + sum(h * (new - old) for h, new, old in zip(hessian[i], found, beta, strict=True))
            new = found[i] - slope / hessian[i][i]
            if i:  # the intercept may be negative
                new = max(0.0, new)
            moved = max(moved, abs(new - found[i]))
            found[i] = new
        if moved < _CLOSE:
            break
    return found
