"""The fewest trials in which a rule could find the best spec of a world with 95 % confidence."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from .once import Figures
from .worlds import WorldOptions, make_world

_ERROR = 0.05
_BISECTIONS = 40
_NEVER = 1e-12


@dataclass(frozen=True, slots=True)
class LowerBound:
    """The bound for worlds whose first candidate is the best spec.

    steps: how long the best allocation is searched for.
    """

    options: WorldOptions
    steps: int = 150

    def once(self, seed: str) -> Figures:
        """The bound for one world, as `calls`."""
        world = make_world(self.options, random.Random(seed))
        best, *others = [world.chances[1], world.chances[0], *world.chances[2:]]
        return {"calls": characteristic_trials(best, others, self.steps)}


def characteristic_trials(best: Sequence[float], others: Sequence[Sequence[float]], steps: int) -> float:
    """T* kl(0.05, 0.95): the mean number of trials that every rule needs here, whichever it is.

    It holds for every rule that errs in at most 5 % of the cases, whatever the chances are, and may
    ask any spec any prompt. The bound is infinite when another spec is as good as the best.

    1/T* = max over allocations w of min over rivals a of min over chances q with
    mean q_a >= mean q_best of the sum of w kl(p, q). The allocation is found by exponentiated
    gradient, so the figure is a little too large for few steps.

    Source: Garivier & Kaufmann (2016), COLT; Kaufmann, Cappe & Garivier (2016), JMLR 17.
    """
    if any(sum(other) >= sum(best) - 1e-9 for other in others):
        return math.inf
    arms = [best, *others]
    logs = [[0.0] * len(best) for _ in arms]
    reached = 0.0
    for step in range(steps):
        weights = _normal(logs)
        found = [_nearest(best, other, weights[0], weights[a]) for a, other in enumerate(others, 1)]
        values = [value for value, _, _ in found]
        lowest = min(values)
        reached = max(reached, lowest)
        pull = [math.exp(-(value - lowest) / (0.05 * lowest + _NEVER)) for value in values]
        total = sum(pull)
        gradient = [[0.0] * len(best) for _ in arms]
        for a, ((_, of_best, of_other), share) in enumerate(zip(found, pull, strict=True), 1):
            gradient[0] = [g + share / total * x for g, x in zip(gradient[0], of_best, strict=True)]
            gradient[a] = [share / total * x for x in of_other]
        scale = sum(g * w for gs, ws in zip(gradient, weights, strict=True) for g, w in zip(gs, ws, strict=True)) + _NEVER
        rate = 0.5 / math.sqrt(1 + step / 10)
        logs = [
            [log + rate * min(g / scale, 8.0) for log, g in zip(ls, gs, strict=True)]
            for ls, gs in zip(logs, gradient, strict=True)
        ]
    return _kl(_ERROR, 1 - _ERROR) / reached


def _normal(logs: Sequence[Sequence[float]]) -> list[list[float]]:
    top = max(max(row) for row in logs)
    rows = [[math.exp(log - top) for log in row] for row in logs]
    total = sum(map(sum, rows))
    return [[max(_NEVER, value / total) for value in row] for row in rows]


def _kl(p: float, q: float) -> float:
    """The divergence between two Bernoulli distributions, kept finite at the ends."""
    q = min(1 - _NEVER, max(_NEVER, q))
    first = p * math.log(p / q) if p > 0 else 0.0
    return first + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)


def _tilt(p: float, w: float, mu: float) -> float:
    """The q that makes w kl(p, q) - mu q smallest, mu >= 0."""
    b = w - mu
    return min(1.0, max(0.0, (-b + math.sqrt(b * b + 4 * mu * w * p)) / (2 * mu))) if mu > 0 else p


def _nearest(
    best: Sequence[float], other: Sequence[float], w_best: Sequence[float], w_other: Sequence[float]
) -> tuple[float, list[float], list[float]]:
    """The cheapest world in which the other spec is as good.

    Returns its cost and each prompt's divergence for both specs.
    """

    def moved(mu: float) -> tuple[list[float], list[float]]:
        down = [1 - _tilt(1 - p, w, mu) for p, w in zip(best, w_best, strict=True)]
        return down, [_tilt(p, w, mu) for p, w in zip(other, w_other, strict=True)]

    low, high = 0.0, 1.0
    while _gap(moved(high)) < 0 and high < 1e6:
        low, high = high, high * 2
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _gap(moved(middle)) < 0 else (low, middle)
    down, up = moved(high)
    of_best = [_kl(p, q) for p, q in zip(best, down, strict=True)]
    of_other = [_kl(p, q) for p, q in zip(other, up, strict=True)]
    cost = sum(w * x for w, x in zip(w_best, of_best, strict=True)) + sum(w * x for w, x in zip(w_other, of_other, strict=True))
    return cost, of_best, of_other


def _gap(both: tuple[list[float], list[float]]) -> float:
    return sum(both[1]) - sum(both[0])
