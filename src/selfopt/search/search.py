"""A search over ways to ask: says what to ask next, learns what came of it, and ranks.

Successive halving over rungs of prompts (Jamieson and Talwalkar 2016; asynchronous as in Li et al.
2020): a way to ask begins with a few prompts, and climbs to the next rung while it is among the
best third of those that reached its rung. All ways climb through the same prompts, so that they are
compared in pairs. The search ranks and promotes nothing: the race judges what it found.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selfopt.variants.space import Capability, Point, asking_part, point_text, points

from .archive import Archive, Look, Seen, Standing
from .bandit import Bandit
from .marks import Objective
from .proposers import SEARCHERS, Given, WayProposer


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What a search is made of.

    Attributes:
        prompts: ids of the prompts that may be asked, in the order in which ways to ask climb
            through them. Shuffle them once for a suite.
        capabilities: what the server has.
        start: ways to ask that come first, such as the baseline and what served other models.
        seed: repeats the search.
        rungs: after how many prompts it is decided who climbs on.
        keep: one of so many climbs on from each rung.
    """

    prompts: tuple[str, ...]
    capabilities: frozenset[Capability]
    start: tuple[Point, ...] = ({},)
    seed: int = 0
    rungs: tuple[int, ...] = (20, 50)
    keep: int = 3

    @property
    def heights(self) -> tuple[int, ...]:
        """How many prompts were asked on top of each rung, the last one being all."""
        return (*(rung for rung in self.rungs if rung < len(self.prompts)), len(self.prompts))


@dataclass(frozen=True, slots=True)
class Batch:
    """What to ask next: one way to ask, on these prompts."""

    asking: Point
    prompts: tuple[str, ...]
    by: str


class Search:
    """Says what to ask next. The same plan and the same marks give the same batches.

    Args:
        plan: what is searched.
        objective: what is looked for.
        proposers: by name; None: all that need nothing.
    """

    def __init__(self, plan: SearchPlan, objective: Objective, proposers: Mapping[str, WayProposer] | None = None) -> None:
        self.plan = plan
        self.archive = Archive(objective)
        self._rng = random.Random(plan.seed)
        self._proposers = dict(proposers if proposers is not None else SEARCHERS)
        self.bandit = Bandit(list(self._proposers), self._rng)
        self._start = [asking_part(point) for point in plan.start]
        ways = {point_text(asking_part(point)): asking_part(point) for point in points(plan.capabilities)}
        self._space: Sequence[Point] = tuple(ways.values())
        self._passed: set[tuple[str, int]] = set()
        self.requests = 0

    def next(self) -> Batch | None:
        """What to ask next. None when every way was asked on every prompt."""
        if self._start:
            return self._batch(self.archive.begin(self._start[0], "start"))
        climbing = self._climber()
        if climbing is not None:
            return self._batch(climbing)
        given = Given(self.archive, self._space, self.plan.capabilities, self._rng)
        for name in self.bandit.order():
            point = self._proposers[name](given)
            if point is not None and point_text(point) not in self.archive.looks:
                return self._batch(self.archive.begin(point, name))
        left = [look for look in self.archive.looks.values() if look.n < len(self.plan.prompts)]
        return self._batch(max(left, key=self._value)) if left else None

    def told(self, batch: Batch, seen: Seen) -> None:
        """Learn the marks of a batch.

        Args:
            batch: what `next` returned.
            seen: the marks of every reading, by its text (see `reading_text`).
        """
        look = self.archive.begin(batch.asking, batch.by)
        self.archive.add(look, seen)
        look.rung += 1
        self.requests += len(batch.prompts)
        if self._start and point_text(self._start[0]) == point_text(look.asking):
            self._start.pop(0)
        if look.rung == 1 and look.by != "start":
            self.bandit.told(look.by, paid=self._among_best(look))

    def ranking(self) -> list[Standing]:
        """The best reading of each way to ask that was asked on all prompts; before that, of any."""
        return self.archive.ranking(least=len(self.plan.prompts)) or self.archive.ranking()

    def _batch(self, look: Look) -> Batch:
        top = self.plan.heights[-1] if look.by == "start" else self.plan.heights[min(look.rung, len(self.plan.heights) - 1)]
        return Batch(look.asking, self.plan.prompts[look.n : top], look.by)

    def _climber(self) -> Look | None:
        """The best look that may climb, from the highest rung on which there is one."""
        for height in reversed(self.plan.heights[:-1]):
            here = [look for look in self.archive.looks.values() if look.n >= height]
            waiting = [look for look in here if look.n == height]
            best = sorted(here, key=self._value, reverse=True)[: len(here) // self.plan.keep]
            may = [look for look in best if look in waiting]
            if may:
                return may[0]
        return None

    def _among_best(self, look: Look) -> bool:
        """Whether a look is among the best third of all."""
        values = sorted((self._value(other) for other in self.archive.looks.values()), reverse=True)
        return self._value(look) >= values[max(0, len(values) // self.plan.keep - 1)]

    def _value(self, look: Look) -> float:
        best = self.archive.best_of(look)
        return best.value if best is not None else float("-inf")
