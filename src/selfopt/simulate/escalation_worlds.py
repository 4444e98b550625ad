"""Worlds for serving when sure: how sure answers look, and how often they are right.

These worlds were written before the way to choose a threshold was tuned, and are frozen: a test
keeps their hash. The figures of docs/ESCALATION.md are of seeds on which nothing was tuned.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfopt.policy import Judged
from selfopt.records import Signals
from selfopt.stats import logistic


@dataclass(frozen=True, slots=True)
class EscalationWorld:
    """What a model's answers are like. Figures are log odds unless they say otherwise.

    Attributes:
        sure, spread: mean and standard deviation of how sure an answer looks, over prompts.
        set_spread: of the same, over tool sets.
        told: whether an answer that looks sure is right more often. If not, all are right with the
            odds `sure`.
        fit_lift: how much better the answers are on which the confidence is fitted.
        bad_sets: the share of tool sets on which answers are worse than they look, by `bad_drop`.
        shift_seen, shift_hidden: how much worse answers get after the calibration, as their signals
            show it, and beyond what they show.
    """

    name: str
    sure: float = 2.3
    spread: float = 2.2
    set_spread: float = 0.5
    told: bool = True
    fit_lift: float = 0.0
    bad_sets: float = 0.0
    bad_drop: float = 2.0
    shift_seen: float = 0.0
    shift_hidden: float = 0.0


ESCALATION_WORLDS: Mapping[str, EscalationWorld] = {
    world.name: world
    for world in (
        EscalationWorld("calibrated"),
        EscalationWorld("overconfident", fit_lift=1.5),
        EscalationWorld("uninformative", sure=math.log(3), told=False),
        EscalationWorld("bad_sets", bad_sets=0.2),
        EscalationWorld("shifted", shift_seen=0.5, shift_hidden=1.0),
    )
}
"""In `uninformative`, three of four answers are right. The others are right about as often."""


@dataclass(frozen=True, slots=True)
class WorldTools:
    """A tool set of a world.

    Attributes:
        ease: how much surer answers look on it than on others.
        drop: how much worse they are than they look.
    """

    name: str
    ease: float
    drop: float


def draw_tools(world: EscalationWorld, sets: int, tag: str, rng: random.Random) -> list[WorldTools]:
    """So many tool sets, drawn independently."""
    return [
        WorldTools(f"{tag}{number}", rng.gauss(0, world.set_spread), world.bad_drop * (rng.random() < world.bad_sets))
        for number in range(sets)
    ]


def draw_answers(
    world: EscalationWorld,
    tools: Sequence[WorldTools],
    n: int,
    tag: str,
    rng: random.Random,
    *,
    lift: float = 0.0,
    shifted: bool = False,
) -> list[tuple[Judged, float]]:
    """So many answers, dealt to the tool sets in turn, each with its true chance to be right.

    Three of four call a tool. The signals are log probabilities as models give them: near 0 for most
    answers, and far below for a few.
    """
    found = []
    for number in range(n):
        tool_set = tools[number % len(tools)]
        looks = rng.gauss(world.sure + tool_set.ease - world.shift_seen * shifted, world.spread)
        odds = looks - tool_set.drop - world.shift_hidden * shifted if world.told else world.sure
        chance = logistic(odds + lift)
        calls = rng.random() < 0.75
        signals = Signals(
            calls=calls,
            choice=-math.exp(-looks + rng.gauss(0, 0.5)),
            least_value=-math.exp(-looks + rng.gauss(0, 0.8)) if calls else None,
            backed=(1.0 if rng.random() < logistic(looks + 1) else 0.5) if calls else None,
            unrepaired=float(rng.random() < logistic(looks + 2)) if calls else None,
        )
        found.append((Judged(f"{tag}{number}", "", tool_set.name, signals, rng.random() < chance), chance))
    return found
