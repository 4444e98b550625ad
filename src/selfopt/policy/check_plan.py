"""Plans the next block of a check from earlier blocks alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from selfopt.errors import EvidenceError
from selfopt.records import Ask, CheckBlock, CheckSettings, CheckStart, Outcome, utc_now

from .race_plan import Draws


@dataclass(frozen=True, slots=True)
class Sampled:
    """The draws of a block, and what they were drawn from.

    Attributes:
        scope: the places of the prompts that could be drawn.
        chances: the chance of each at each draw. None: each was taken once.
    """

    draws: Draws
    scope: tuple[int, ...]
    chances: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """One block of a check.

    Attributes:
        sampled: the prompts of the block; a repeated prompt occurs several times.
        again: places of prompts that must pass, which the present configuration answers once more.
        ask_before: whether the earlier configuration is asked, too.
    """

    start: CheckStart
    number: int
    sampled: Sampled
    again: tuple[int, ...]
    ask_before: bool

    @property
    def draws(self) -> Draws:
        """The draws alone."""
        return self.sampled.draws

    @property
    def prompt_ids(self) -> tuple[str, ...]:
        """The prompt of each draw."""
        return tuple([self.start.prompt_ids[j] for j in self.draws.positions])

    @property
    def block_id(self) -> str:
        """The id of the block."""
        return f"{self.start.check_id}-block-{self.number:04d}"

    @property
    def requests(self) -> dict[str, tuple[str, ...]]:
        """The prompts that are asked under each request_id, in the order of their places.

        Sides that differ only in how replies are read share their answers.
        """
        start, found = self.start, dict[str, tuple[str, ...]]()
        if self.ask_before and start.before is not None:
            found[start.before.request_id] = self.prompt_ids
        found[start.now.request_id] = (*self.prompt_ids, *(start.prompt_ids[j] for j in self.again))
        return found

    @property
    def trials(self) -> int:
        """The number of trials that the block costs."""
        return sum(map(len, self.requests.values()))

    def asks(self) -> tuple[Ask, ...]:
        """Every ask, in the order in which to make it: both sides shuffled together, always alike."""
        every = [Ask(arm, place, name) for arm, names in self.requests.items() for place, name in enumerate(names)]
        random.Random(f"order {self.start.check_id} {self.number}").shuffle(every)
        return tuple(every)

    def block(
        self,
        now: Sequence[Outcome],
        before: Sequence[Outcome],
        *,
        now_trials: Sequence[str] = (),
        before_trials: Sequence[str] = (),
        at: str | None = None,
    ) -> CheckBlock:
        """The complete record of this block.

        Args:
            now: the outcome of each draw, then of each prompt of `again`.
            before: the outcome of each draw; empty where it is not asked.

        Raises:
            EvidenceError: outcomes are missing.
        """
        wanted = len(self.draws.positions) + len(self.again), len(self.draws.positions) * self.ask_before
        if (len(now), len(before)) != wanted:
            raise EvidenceError(
                f"block {self.number} has {len(now)} and {len(before)} outcomes, planned were {wanted[0]} and {wanted[1]}; "
                "only complete blocks count: repeat the block"
            )
        return CheckBlock(
            block_id=self.block_id,
            check_id=self.start.check_id,
            number=self.number,
            prompts=self.prompt_ids,
            weights=self.draws.weights,
            max_weight=self.draws.max_weight,
            again=tuple([self.start.prompt_ids[j] for j in self.again]),
            now=tuple(now),
            before=tuple(before),
            now_trials=tuple(now_trials),
            before_trials=tuple(before_trials),
            at=at if at is not None else utc_now(),
        )


def whole_pass(m: int) -> Sampled:
    """Every prompt once."""
    return Sampled(Draws(tuple(range(m)), (1.0,) * m, 1.0, m), tuple(range(m)), None)


def no_draws() -> Sampled:
    """Nothing is drawn: the block only asks prompts that must pass."""
    return Sampled(Draws((), (), 1.0, 0), (), None)


def drawn(scope: Sequence[int], noise: Sequence[float], settings: CheckSettings, seed: str) -> Sampled:
    """Draw prompts of a scope with replacement, in proportion to their noise, which is Neyman's allocation.

    A stable prompt is drawn at least 1/importance times as often as any other: a floor, so that a
    prompt that only looks stable can't hide a loss. Prompt j gets the weight 1/(n q_j) in a scope of n.

    Args:
        scope: the places of the prompts.
        noise: the standard deviation that each of them is expected to add.
    """
    highest = max(noise)
    lowest = highest / settings.importance if highest > 0 else 1.0
    scores = [max(lowest, value) for value in noise]
    cumulative = list(accumulate(scores))
    found = random.Random(seed).choices(range(len(scope)), cum_weights=cumulative, k=settings.block_draws)
    unit = cumulative[-1] / len(scope)
    weights = tuple([unit / scores[i] for i in found])
    draws = Draws(tuple([scope[i] for i in found]), weights, unit / min(scores), settings.block_draws)
    return Sampled(draws, tuple(scope), tuple([score / cumulative[-1] for score in scores]))


def within(sampled: Sampled, members: frozenset[int]) -> Draws | None:
    """The draws that fell on a part of the scope, weighted for that part alone. None when none did.

    Given how many fell there, they are draws from the part with replacement. So prompt j of a part of k
    has the weight 1/(k q_j/q), where q is the chance of the whole part: its weight in a scope of n times
    q n/k.
    """
    draws, chances = sampled.draws, sampled.chances
    kept = [(j, w) for j, w in zip(draws.positions, draws.weights, strict=True) if j in members]
    if not kept:
        return None
    positions, factor = tuple([j for j, _ in kept]), 1.0
    if chances is not None:
        share = sum(chance for j, chance in zip(sampled.scope, chances, strict=True) if j in members)
        factor = share * len(sampled.scope) / len(members)
    return Draws(positions, tuple([w * factor for _, w in kept]), draws.max_weight * factor, len(kept))
