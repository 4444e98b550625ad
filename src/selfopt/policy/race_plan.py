"""What the next block of a race asks, decided from earlier blocks only."""

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
    """The prompts of a block. positions: in the split's order, a repeated one several times; weights: one each; mass: what the
    weights sum to on average, the number of pairs that the block is worth."""

    positions: tuple[int, ...]
    weights: tuple[float, ...]
    max_weight: float
    mass: int


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """One block. candidates: alive ones; asked: how often each spec answers each draw, specs with known outcomes left out;
    requests: how often each draw is put to each request_id, which is what costs trials."""

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
        """What the block costs."""
        return len(self.prompt_ids) * sum(self.requests.values())

    def asks(self) -> tuple[Ask, ...]:
        """Every ask, in the order in which to make them: specs and prompts shuffled together, so that a drift of the server
        meets all specs alike. The order is the same whenever the plan is made again. The positions of an arm are by draw, then
        repeat."""
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
        """The record of this block, complete. passes: per spec, per draw, how many of its answers passed. EvidenceError for specs
        or outcomes that are missing or too many."""
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
    """Where the next block looks. noise: per prompt, the mean squared gain D - g that the blocks before this one lead to expect.

    Small suites: every prompt once, noisy ones `repeats` times with weight 1/repeats each. Large ones: `block_draws` prompts with
    replacement, prompt j with probability q_j in proportion to sqrt(noise_j), at most `importance` times as often as any other
    (Neyman's allocation: it makes the variance of the mean smallest), weight 1/(m q_j). Either way the weights of every prompt
    have the same expected sum, which is all that the evidence needs (`selfopt.stats.betting`).
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
