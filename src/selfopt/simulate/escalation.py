"""Thresholds chosen on worlds where the truth is known: how often the bound breaks, and what is served.

The fit, the tests and the choice are those of `policy.serving`.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from selfopt.policy import Judged, ServedTable, Thresholds, confidence_model, threshold_steps
from selfopt.records import BoundClaim, ConfidenceModel, Signals

from .escalation_worlds import ESCALATION_WORLDS, draw_answers, draw_tools
from .once import Figures

ALPHAS = (0.05, 0.1, 0.2)
_POPULATION = 10_000
_HERE = 20
_OTHERS = 400

Answer = tuple[Signals, float]
"""What an answer shows, and its true chance to be right."""
Sure = tuple[float, float]
"""The confidence of an answer, and its true chance to be right."""


@dataclass(frozen=True, slots=True)
class SimulatedEscalation:
    """One fit in a world, and calibrations of it. Each chooses a threshold of its own.

    Attributes:
        world: by name.
        claim: `these_tools`: the world has twenty tool sets, and all answers are of these.
            `unseen_tools`: the sets of the fit, and those of each calibration, are drawn anew.
        fit, prompts: how many answers are fitted, and how many calibrated.
        sets: how many tool sets a calibration has, for unseen tools.
        calibrations: how many there are of each fit.
        alphas: the shares of bad answers that are asked for.
        delta: the chance to break one that is allowed.
    """

    world: str
    claim: BoundClaim = "these_tools"
    fit: int = 400
    prompts: int = 1000
    sets: int = 100
    calibrations: int = 20
    alphas: tuple[float, ...] = ALPHAS
    delta: float = 0.05

    def once(self, seed: str) -> Figures:
        """Of each alpha: in how many calibrations something is served, and the bound is broken; and the
        sum of what is served, and of what the oracle serves.

        The last three are true: of the threshold that was chosen, and of the lowest one whose true
        share of bad answers is at most alpha, which is the oracle's.
        """
        rng, here = random.Random(seed), population(self.world, self.claim)
        fit = self.fitted(rng)
        model = confidence_model(fit)
        steps = threshold_steps([model.confidence(one.signals) for one in fit])
        sure = here.sure(model)
        truth = TrueCurve.of([one for each in sure for one in each])
        found = {f"{what} {alpha:g}": 0.0 for what in ("shown", "broken", "served") for alpha in self.alphas}
        found |= {f"oracle {alpha:g}": self.calibrations * truth.oracle(alpha) for alpha in self.alphas}
        placed = step_of(sure, steps)
        for _ in range(self.calibrations):
            thresholds = Thresholds(model, self.claim, steps, self.tables(placed, len(steps), rng))
            for alpha in self.alphas:
                index = thresholds.lowest(alpha, self.delta)
                served, bad = (0.0, 0.0) if index is None else truth.served_from(steps[index][0])
                found[f"shown {alpha:g}"] += index is not None
                found[f"broken {alpha:g}"] += bad > alpha * served
                found[f"served {alpha:g}"] += served
        return found

    def fitted(self, rng: random.Random) -> list[Judged]:
        """Answers to fit, dealt to tool sets in turn."""
        sets, lift = population(self.world, self.claim).sets, math.exp(ESCALATION_WORLDS[self.world].fit_lift)
        if self.claim == "unseen_tools":
            sets = rng.choices(sets, k=max(1, self.sets * self.fit // self.prompts))
        found = []
        for number in range(self.fit):
            signals, chance = rng.choice(sets[number % len(sets)])
            chance = chance * lift / (1 - chance + chance * lift)
            found.append(Judged(f"f{number}", "", f"set {number % len(sets)}", signals, rng.random() < chance))
        return found

    def tables(self, placed: Sequence[Sequence[tuple[int, float]]], steps: int, rng: random.Random) -> dict[str, ServedTable]:
        """A calibration: answers of each tool set, by the steps that serve them. A set that is drawn twice stands for two."""
        if self.claim == "unseen_tools":
            placed = rng.choices(placed, k=self.sets)
        found, each = {}, self.prompts // len(placed)
        for number, answers in enumerate(placed):
            served, bad = [0] * (steps + 1), [0] * (steps + 1)
            for step, chance in rng.choices(answers, k=each):
                served[step] += 1
                bad[step] += rng.random() >= chance
            found[f"set {number}"] = ServedTable(each, tuple(accumulate(served[:-1])), tuple(accumulate(bad[:-1])))
        return found


def step_of(sure: Sequence[Sequence[Sure]], steps: Sequence[tuple[float, float]]) -> list[list[tuple[int, float]]]:
    """The index of the strictest threshold that serves each answer, with its chance to be right."""
    falling = [-least for least, _ in steps]
    return [[(bisect_left(falling, -confidence), chance) for confidence, chance in each] for each in sure]


@dataclass(frozen=True, slots=True)
class TrueCurve:
    """What each threshold truly serves of all answers of a world.

    Attributes:
        falling: the confidences of all answers, negated: the surest first.
        bad: how many of the first so many are bad, on average.
    """

    falling: Sequence[float]
    bad: Sequence[float]

    @classmethod
    def of(cls, answers: Sequence[Sure]) -> TrueCurve:
        """The curve of these answers."""
        ordered = sorted((-confidence, 1 - chance) for confidence, chance in answers)
        return cls([one for one, _ in ordered], [0.0, *accumulate(bad for _, bad in ordered)])

    def served_from(self, least: float) -> tuple[float, float]:
        """The share of answers that a threshold serves, and the share that it serves and that is bad."""
        served, n = bisect_right(self.falling, -least), len(self.falling)
        return served / n, self.bad[served] / n

    def oracle(self, max_bad_share: float) -> float:
        """The largest share that any threshold serves within this share of bad answers."""
        n = len(self.falling)
        ends = (k for k in range(n, 0, -1) if k == n or self.falling[k] > self.falling[k - 1])
        return next((k / n for k in ends if self.bad[k] <= max_bad_share * k), 0.0)


class Population:
    """All answers of a world with their true chances. Everything is drawn from them, so that the truth is exact.

    Attributes:
        sets: the answers of each tool set, as many of each.
    """

    def __init__(self, sets: Sequence[Sequence[Answer]]) -> None:
        self.sets = sets

    def sure(self, model: ConfidenceModel) -> list[list[Sure]]:
        """How sure a model is of each answer, by tool set."""
        return [[(model.confidence(signals), chance) for signals, chance in each] for each in self.sets]


@lru_cache(maxsize=16)
def population(world: str, claim: BoundClaim, *, shifted: bool = False) -> Population:
    """All answers of a world: on its own twenty tool sets, or on 400 others. As many are bad as the world says."""
    options, rng = ESCALATION_WORLDS[world], random.Random(f"{world} {claim}")
    count = _HERE if claim == "these_tools" else _OTHERS
    tools = draw_tools(options, count, "s", rng)
    while sum(one.drop > 0 for one in tools) != round(count * options.bad_sets):
        tools = draw_tools(options, count, "s", rng)
    sets: dict[str, list[Answer]] = {one.name: [] for one in tools}
    for one, chance in draw_answers(options, tools, _POPULATION, "o", rng, shifted=shifted):
        sets[one.tool_set].append((one.signals, chance))
    return Population(list(sets.values()))
