"""Synthetic worlds, in which we know how often each spec passes each prompt."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.errors import UsageError

_SURE_PASS = 0.75
_RESTRAINT_SHARE = 4  # one prompt of so many needs no call
_RESTRAINT_SURE = 0.85


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """What a world looks like.

    Attributes:
        prompts: how many prompts its suite has, 1 to 10000.
        candidates: how many candidates there are, 1 to 100.
        flaky: share of the prompts that pass with a probability between .1 and .9. The others
            always pass or never do.
        gain: mean difference between the first candidate and the baseline, -1 to 1.
        others: the same for the other candidates.
        churn: how much each candidate's prompts differ besides, as much up as down (half of the
            mean absolute difference).
        deterministic: every prompt always passes or never does; gain and churn are then shares of
            prompts.
        cold: share of the prompts whose first one or two answers fail nine times in ten, drawn
            for each spec on its own.
        warm_up: the cold answers are spent before anything counts.
        drift: how far every prompt's probability falls during the first thousand trials.

    Raises:
        UsageError: a figure is out of range.
    """

    prompts: int = 12
    candidates: int = 4
    flaky: float = 0.4
    gain: float = 0.0
    others: float = 0.0
    churn: float = 0.05
    deterministic: bool = False
    cold: float = 0.0
    warm_up: bool = False
    drift: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.prompts <= 10_000 or not 1 <= self.candidates <= 100:
            raise UsageError(f"{self.prompts} prompts, {self.candidates} candidates: need 1 to 10000 and 1 to 100")
        for name in ("flaky", "churn", "cold", "drift"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}: need a share from 0 to 1")
        for name in ("gain", "others"):
            if not -1 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name)}: need a difference from -1 to 1, such as 0.05")


@dataclass(frozen=True, slots=True)
class World:
    """How often each spec passes each prompt.

    Attributes:
        chances: probability to pass, by spec (the baseline first) and prompt.
        cold: how many of the first answers are cold, by spec and prompt; empty when none are.
        restraint: how many prompts need no tool call. They come first.
    """

    chances: Sequence[Sequence[float]]
    cold: Sequence[Sequence[int]]
    restraint: int

    def gain(self, candidate: int) -> float:
        """The true mean difference between a candidate (counted from 1) and the baseline."""
        return (sum(self.chances[candidate]) - sum(self.chances[0])) / len(self.chances[0])


def make_world(
    options: WorldOptions, rng: random.Random, baseline: Sequence[float] | None = None, gains: Sequence[float] | None = None
) -> World:
    """Draw a world.

    Args:
        options: what it looks like.
        rng: where it is drawn from.
        baseline: chances of the baseline, such as those of the last promoted spec. None: they are
            drawn.
        gains: gain of each candidate. None: those of the options.
    """
    restraint = max(1, options.prompts // _RESTRAINT_SHARE)
    base = list(baseline) if baseline is not None else _baseline(options, restraint, rng)
    if gains is None:
        gains = [options.gain] + [options.others] * (options.candidates - 1)
    change = _changed_surely if options.deterministic else _changed
    chances = [base, *(change(base, gain, options.churn, rng) for gain in gains)]
    cold = [_cold(options, rng) for _ in chances] if options.cold > 0 else []
    return World(chances, cold, restraint)


def _baseline(options: WorldOptions, restraint: int, rng: random.Random) -> list[float]:
    def restrained() -> float:
        return 1.0 if options.deterministic or rng.random() < _RESTRAINT_SURE else rng.uniform(0.6, 0.97)

    def calling() -> float:
        flaky = not options.deterministic and rng.random() < options.flaky
        return rng.uniform(0.1, 0.9) if flaky else float(rng.random() < _SURE_PASS)

    return [restrained() if j < restraint else calling() for j in range(options.prompts)]


def _cold(options: WorldOptions, rng: random.Random) -> list[int]:
    return [rng.randint(1, 2) if rng.random() < options.cold else 0 for _ in range(options.prompts)]


def _changed(base: Sequence[float], gain: float, churn: float, rng: random.Random) -> list[float]:
    """Move the mean by `gain`, on a few random prompts in steps of .2 to .7.

    Then move it up by churn and down again.
    """
    chances = list(base)
    _push(chances, gain * len(base), rng)
    up = churn * len(base)
    moved = up - _push(chances, up, rng)
    _push(chances, -moved, rng)
    return chances


def _push(chances: list[float], amount: float, rng: random.Random) -> float:
    """Spread a signed amount over random prompts. Returns how much of it found no room."""
    left, up = abs(amount), amount > 0
    for j in rng.sample(range(len(chances)), len(chances)):
        if left <= 1e-12:
            break
        room = 1 - chances[j] if up else chances[j]
        step = min(room, rng.uniform(0.2, 0.7), left)
        chances[j] += step if up else -step
        left -= step
    return left


def _changed_surely(base: Sequence[float], gain: float, churn: float, rng: random.Random) -> list[float]:
    """Draw each prompt: it is won with probability churn + gain and lost with probability churn.

    A negative gain adds to the prompts that are lost.
    """
    won, lost = churn + max(0.0, gain), churn + max(0.0, -gain)
    passing = max(sum(base) / len(base), 1e-9)
    failing = max(1 - passing, 1e-9)
    return [
        float(rng.random() >= min(1.0, lost / passing)) if chance else float(rng.random() < min(1.0, won / failing))
        for chance in base
    ]
