"""Plans the next block of a race from earlier blocks alone."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from selfopt.errors import EvidenceError
from selfopt.records import Ask, RaceBlock, RaceSettings, RaceStart, utc_now


@dataclass(frozen=True, slots=True)
class Draws:
    """The prompts of a block.

    Attributes:
        positions: the places of the prompts in the split; a repeated prompt occurs several times.
        weights: one for each position.
        mass: the mean sum of the weights, which is the number of pairs that the block is worth.
    """

    positions: tuple[int, ...]
    weights: tuple[float, ...]
    max_weight: float
    mass: int


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One block.

    Attributes:
        candidates: the live ones.
        asked: how often each spec answers each draw; specs with known outcomes are left out.
        requests: how often each draw is asked under each request_id. These are what cost trials.
    """

    race_id: str
    number: int
    draws: Draws
    prompt_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    asked: Mapping[str, int]
    requests: Mapping[str, int]
    seed: str = field(repr=False)

    @property
    def trials(self) -> int:
        """The number of trials that the block costs."""
        return len(self.prompt_ids) * sum(self.requests.values())

    def asks(self) -> tuple[Ask, ...]:
        """Every ask, in the order in which to make it.

        Specs and prompts are shuffled together, so that a drift of the server hits all specs alike.
        A plan that is made again has the same order. An arm counts its positions by draw, then by
        repeat.
        """
        every = [
            Ask(request_id, draw * times + repeat, prompt_id)
            for draw, prompt_id in enumerate(self.prompt_ids)
            for request_id, times in self.requests.items()
            for repeat in range(times)
        ]
        random.Random(f"order {self.seed}").shuffle(every)
        return tuple(every)

    def block(
        self, passes: Mapping[str, Sequence[int]], *, trial_ids: Mapping[str, Sequence[str]] | None = None, at: str | None = None
    ) -> RaceBlock:
        """The complete record of this block.

        Args:
            passes: how many answers passed, by spec and draw.

        Raises:
            EvidenceError: the specs are not those of the plan.
        """
        if passes.keys() != self.asked.keys():
            raise EvidenceError(
                f"block {self.number} has outcomes of {', '.join(sorted(passes)) or 'nothing'}, planned were "
                f"{', '.join(sorted(self.asked))}; only complete blocks count: repeat the block"
            )
        return RaceBlock(
            block_id=RaceBlock.make_id(self.race_id, self.number),
            race_id=self.race_id,
            number=self.number,
            prompts=self.prompt_ids,
            weights=self.draws.weights,
            max_weight=self.draws.max_weight,
            asked=dict(self.asked),
            passes={spec_id: tuple(counts) for spec_id, counts in passes.items()},
            trial_ids={spec_id: tuple(ids) for spec_id, ids in (trial_ids or {}).items()},
            at=at if at is not None else utc_now(),
        )


def plan_draws(start: RaceStart, noise: Sequence[float], seed: str) -> Draws:
    """Draws the prompts of the next block.

    A small suite asks every prompt once, and noisy prompts `repeats` times with the weight
    1/repeats each. A large suite draws `block_draws` prompts with replacement. It draws prompt j
    with a probability q_j in proportion to sqrt(noise_j), at most `importance` times as often as
    any other, and gives it the weight 1/(m q_j). This is Neyman's allocation, which minimises the
    variance of the mean. Either way, the weights of all prompts have the same expected sum, which
    is all that the evidence needs (`selfopt.stats.betting`).

    Args:
        noise: the mean squared gain D - g of each prompt, as expected from earlier blocks.
    """
    settings, m = start.settings, len(start.prompt_ids)
    if m <= settings.small_suite:
        return _pass_over(noise, settings)
    highest = math.sqrt(max(noise))
    lowest = highest / settings.importance
    scores = [max(lowest, math.sqrt(value)) for value in noise]
    cumulative = list(accumulate(scores))
    positions = tuple(random.Random(seed).choices(range(m), cum_weights=cumulative, k=settings.block_draws))
    unit = cumulative[-1] / m
    return Draws(positions, tuple([unit / scores[j] for j in positions]), unit / min(scores), settings.block_draws)


def _pass_over(noise: Sequence[float], settings: RaceSettings) -> Draws:
    share = 1.0 / settings.repeats
    noisy = [j for j, value in enumerate(noise) if value >= settings.repeat_above]
    weights = [1.0] * len(noise)
    for j in noisy:
        weights[j] = share
    again = noisy * (settings.repeats - 1)
    return Draws((*range(len(noise)), *again), (*weights, *([share] * len(again))), max(weights), len(noise))
