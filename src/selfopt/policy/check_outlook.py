"""What to expect of a prompt in a check, from its outcomes so far.

This only decides what is asked and what is taken off the noise. What a check claims does not rest on it
(`selfopt.stats.betting`).

A prompt is thought to be stable with a chance of `stable` (it passes always or never, both alike), and
else to pass with any probability alike. With a chance of `_SAME` it passes as often as before. The
expected outcome of the next answer is then a ratio of two marginal likelihoods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

_SAME = 0.9
_COUNTED = 60  # more answers of a prompt are counted as so many: they tell no more, and binomials stay small


@dataclass(frozen=True, slots=True)
class DrawCounts:
    """Of one prompt: how many answers passed, of how many, now and before."""

    now: int = 0
    now_asked: int = 0
    before: int = 0
    before_asked: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """How likely the next answer passes, now and before."""

    now: float
    before: float

    @property
    def now_noise(self) -> float:
        """The variance of the next outcome."""
        return self.now * (1 - self.now)

    @property
    def before_noise(self) -> float:
        """The same of the earlier configuration."""
        return self.before * (1 - self.before)


def _likelihood(passes: int, asked: int, stable: float) -> float:
    """The chance of these outcomes in one order."""
    sure = 0.5 * ((passes == asked) + (passes == 0))
    return stable * sure + (1 - stable) / ((asked + 1) * math.comb(asked, passes))


def _next(passes: int, asked: int, stable: float) -> float:
    return _likelihood(passes + 1, asked + 1, stable) / _likelihood(passes, asked, stable)


def _bounded(passes: int, asked: int) -> tuple[int, int]:
    if asked <= _COUNTED:
        return passes, asked
    kept = round(passes * _COUNTED / asked)
    # An outcome that was seen once was seen, however seldom it is.
    return (min(_COUNTED - 1, max(1, kept)) if 0 < passes < asked else kept), _COUNTED


@lru_cache(maxsize=65_536)
def outlook(counted: DrawCounts, stable: float) -> Outlook:
    """What to expect of a prompt.

    Args:
        stable: the share of prompts that are thought to be stable, in (0, 1).
    """
    now, before = _bounded(counted.now, counted.now_asked), _bounded(counted.before, counted.before_asked)
    both = (now[0] + before[0], now[1] + before[1])
    same = _SAME * _likelihood(*both, stable)
    other = (1 - _SAME) * _likelihood(*now, stable) * _likelihood(*before, stable)
    share = same / (same + other)
    pooled = share * _next(*both, stable)
    return Outlook(pooled + (1 - share) * _next(*now, stable), pooled + (1 - share) * _next(*before, stable))
