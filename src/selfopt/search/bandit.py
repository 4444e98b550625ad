"""Chooses among proposers by what paid: Thompson sampling with forgetting."""

from __future__ import annotations

import random
from collections.abc import Sequence

_FORGET = 0.98
"""What paid early in a search says less about now."""


class Bandit:
    """Arms with a chance of success each, estimated from what paid.

    Thompson (1933): each arm draws a chance from its Beta posterior, and the highest draw is taken.
    """

    def __init__(self, names: Sequence[str], rng: random.Random) -> None:
        self.rng = rng
        self._won = dict.fromkeys(names, 1.0)
        self._lost = dict.fromkeys(names, 1.0)

    def order(self) -> list[str]:
        """The arms, by a draw each."""
        drawn = {name: self.rng.betavariate(self._won[name], self._lost[name]) for name in self._won}
        return sorted(drawn, key=lambda name: -drawn[name])

    def told(self, name: str, *, paid: bool) -> None:
        """Learn whether a proposal of an arm paid. Other names are no arms and teach nothing."""
        if name not in self._won:
            return
        for counts in (self._won, self._lost):
            for arm in counts:
                counts[arm] = 1.0 + _FORGET * (counts[arm] - 1.0)
        (self._won if paid else self._lost)[name] += 1.0

    def rates(self) -> dict[str, float]:
        """The share of what paid, by arm."""
        return {name: self._won[name] / (self._won[name] + self._lost[name]) for name in self._won}
