"""What like ways to ask tell of each other: a Gaussian process over the parts that they share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from operator import eq, mul

from selfopt.records import Phase
from selfopt.variants.space import Point, parts_of

Choices = tuple[str | None, ...]
"""The choice of every part that shapes requests."""

_ALONE, _PAIRS, _OWN = 0.30, 0.35, 0.35
"""How much of what ways differ in comes from single choices, from pairs of them, and from nothing
that another way shares.
"""
_VARIANCE = _ALONE + _PAIRS + _OWN
_LATER = frozenset({"pick", "tools_by", "temperature", "thinking"})
"""Parts that the space has got since these weights were chosen. That other ways share the default of a
new part makes them no more alike than they were. So the weights stay spread over the older ones.
"""


@cache
def _names(phase: Phase) -> tuple[str, ...]:
    return tuple(part.name for part in parts_of(phase) if not part.reads)


def choices_of(asking: Point, phase: Phase = "atomic") -> Choices:
    """The choices of a way to ask, to be compared with others of the same phase."""
    return tuple(map(asking.get, _names(phase)))


@cache
def _later(n: int) -> int:
    """How many later parts there are where a way has n choices."""
    phases: tuple[Phase, ...] = ("atomic", "extended")
    return next((len(_LATER.intersection(names)) for names in map(_names, phases) if len(names) == n), 0)


@cache
def _table(n: int) -> tuple[float, ...]:
    """The covariance of two ways of n choices that share so many of them, for a variance of 1."""
    older = n - _later(n)
    pairs = _PAIRS / (older * (older - 1))
    shares = [_ALONE * m / older + pairs * max(0, m) * (m - 1) for m in range(older - n, older)]
    return (*shares, _VARIANCE)


def covariances(one: Choices, others: Sequence[Choices]) -> list[float]:
    """The covariance of a way with others, for a variance of 1."""
    table = _table(len(one))
    return [table[sum(map(eq, one, other))] for other in others]


class Likeness:
    """Estimates a figure of ways to ask from what was seen of them and of those like them.

    Rasmussen and Williams 2006, chapter 2. Effects of choices and of pairs of choices are normal;
    what was seen of a way is off by chance, the less the more prompts it was asked.

    Args:
        ways: what was seen, each once.
        noise: the variance of what was seen of each, as a share of the variance between ways;
            above 0.
    """

    def __init__(self, ways: Sequence[Choices], noise: Sequence[float]) -> None:
        self.ways, self.noise = ways, noise
        self._root: list[list[float]] = []
        for i, way in enumerate(ways):
            row: list[float] = []
            for j, between in enumerate(covariances(way, ways[:i])):
                row.append((between - sum(map(mul, row, self._root[j]))) / self._root[j][j])
            row.append(math.sqrt(max(1e-9, _VARIANCE + noise[i] - sum(map(mul, row, row)))))
            self._root.append(row)
        self._columns = [[self._root[i][j] for i in range(j, len(ways))] for j in range(len(ways))]
        ones = self._solved([1.0] * len(ways))
        self._weights = [one / sum(ones) for one in ones] if ones else []

    def fitted(self, seen: Sequence[float]) -> tuple[float, list[float]]:
        """The mean of all ways, and the weights with which `at` and `back` estimate from it."""
        mean = sum(map(mul, self._weights, seen))
        return mean, self._solved([one - mean for one in seen])

    def back(self, seen: Sequence[float], weights: Sequence[float]) -> list[float]:
        """The estimates for the ways themselves."""
        return [one - noise * weight for one, noise, weight in zip(seen, self.noise, weights, strict=True)]

    def doubt(self, between: Sequence[float]) -> float:
        """The standard deviation of the estimate for a way with these covariances, as a share of
        that between ways; from 0 to 1.
        """
        half = self._forward(between)
        return math.sqrt(max(0.0, _VARIANCE - sum(map(mul, half, half))))

    def _forward(self, right: Sequence[float]) -> list[float]:
        found: list[float] = []
        for row, one in zip(self._root, right, strict=True):
            found.append((one - sum(map(mul, row, found))) / row[-1])
        return found

    def _solved(self, right: Sequence[float]) -> list[float]:
        half = self._forward(right)
        found: list[float] = []  # from the last one to the first
        for i in range(len(half) - 1, -1, -1):
            column = self._columns[i]
            below = sum(map(mul, column[:0:-1], found))
            found.append((half[i] - below) / column[0])
        return found[::-1]
