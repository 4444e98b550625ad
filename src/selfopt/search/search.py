"""A search over ways to ask: says what to ask next, learns what came of it, and ranks.

Successive halving over rungs of prompts (Jamieson and Talwalkar 2016; asynchronous as in Li et al.
2020): a way to ask begins with a few prompts, and climbs to the next rung while it is among the
best third of those that reached its rung. All ways climb through the same prompts, so that they are
compared in pairs. The search promotes nothing: the race judges what it found.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from selfopt.errors import UsageError
from selfopt.records import Capability, Phase, WrittenChoice
from selfopt.variants.space import Point, asking_part, point_of, point_text, possible, some_ways
from selfopt.variants.written import names_written

from .archive import Archive, RankedPoint, Seen, SeenWay
from .bandit import Bandit
from .marks import Objective
from .patience import within
from .proposers import SEARCHERS, Given, Proposal, WayProposer

logger = logging.getLogger("selfopt.search")


def spread(prompts: Mapping[str, Hashable], seed: int = 0) -> tuple[str, ...]:
    """The ids of prompts in an order whose every beginning holds about the same share of each group.

    Args:
        prompts: the group of each prompt by its id, such as its kind and tool set.
        seed: of the order within groups.
    """
    rng, places = random.Random(seed), dict[str, float]()
    groups: dict[Hashable, list[str]] = {}
    for one, group in prompts.items():
        groups.setdefault(group, []).append(one)
    for members in groups.values():
        rng.shuffle(members)
        offset = rng.random()
        places |= {one: (place + offset) / len(members) for place, one in enumerate(members)}
    return tuple(sorted(places, key=lambda one: (places[one], one)))


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What a search is made of.

    Attributes:
        prompts: ids of the prompts that may be asked, in the order in which ways to ask climb
            through them (see `spread`).
        capabilities: what the server has.
        start: ways to ask that come first and are asked on all prompts, such as the baseline.
        seed: repeats the search.
        rungs: after how many prompts it is decided who climbs on.
        keep: one of so many climbs on from each rung; 2 or more.
        phase: the kind of work, which says what parts there are.
        parts: the names of the parts that may differ from their defaults; None: all. Ways of the
            start may differ in others.
        first: the proposer that has the first turn after the start. None: the bandit draws that one, too.
        most_ways: how many ways are drawn from the space, where it has more. Changing and crossing
            what was asked leads to all others.

    Raises:
        UsageError: there is no prompt, one is named twice, rungs don't rise, or `keep` is too small.
    """

    prompts: tuple[str, ...]
    capabilities: frozenset[Capability]
    start: tuple[Point, ...] = ({},)
    seed: int = 0
    rungs: tuple[int, ...] = (12, 36)
    keep: int = 3
    phase: Phase = "atomic"
    parts: frozenset[str] | None = None
    first: str | None = None
    most_ways: int = 600

    def __post_init__(self) -> None:
        if not self.prompts or len(set(self.prompts)) < len(self.prompts):
            raise UsageError(f"{len(self.prompts)} prompts of a search: need one or more, each once")
        if self.keep < 2:
            raise UsageError(f"keep {self.keep}: need 2 or more, as one of so many climbs on")
        if list(self.rungs) != sorted({rung for rung in self.rungs if rung > 0}):
            raise UsageError(f"rungs {self.rungs}: need rising numbers of prompts above 0, such as (12, 36)")

    def allows(self, asking: Point) -> bool:
        """Whether a way to ask may be asked."""
        within = self.parts is None or self.parts.issuperset(asking)
        return within and possible(asking, self.capabilities, self.phase)

    def space(self) -> tuple[Point, ...]:
        """The ways to ask that are looked at: all of them where there are few, else as many as are drawn."""
        return some_ways(self.capabilities, self.most_ways, self.seed, phase=self.phase, parts=self.parts)

    @property
    def heights(self) -> tuple[int, ...]:
        """How many prompts were asked on top of each rung, the last one being all."""
        return (*(rung for rung in self.rungs if rung < len(self.prompts)), len(self.prompts))


@dataclass(frozen=True, slots=True)
class WayBatch:
    """What to ask next: one way to ask, on these prompts."""

    asking: Point
    prompts: tuple[str, ...]
    by: str


class Search:
    """Says what to ask next. The same plan and the same marks give the same batches, so a search is
    resumed by replaying it on the marks that are kept.

    Args:
        plan: what is searched.
        objective: what is looked for.
        proposers: by name; None: all of `SEARCHERS`.
        patience_s: how long a proposer may think, in seconds. One that takes longer is not asked again.

    Attributes:
        written: the choices that were written for its proposals, by name.

    Example:
        while (batch := search.next()) is not None:
            search.told(batch, marks_of(batch))
        best = search.ranking()[0].point
    """

    def __init__(
        self,
        plan: SearchPlan,
        objective: Objective,
        proposers: Mapping[str, WayProposer] | None = None,
        *,
        patience_s: float = 60.0,
    ) -> None:
        self.plan = plan
        self.archive = Archive(objective, plan.phase)
        self.requests = 0
        self.written: dict[str, WrittenChoice] = {}
        self._rng = random.Random(plan.seed)
        self._patience_s = patience_s
        self._proposers = dict(proposers if proposers is not None else SEARCHERS.all())
        self.bandit = Bandit(list(self._proposers), self._rng)
        self._space = plan.space()
        self._open: WayBatch | None = None
        self._first = plan.first
        self._order: list[str] = []
        for point in plan.start:
            self.archive.begin(point, "start")

    def next(self) -> WayBatch | None:
        """What to ask next: the same until it is told. None when no proposer knows another way, and
        every way that was drawn or begun was asked on every prompt.
        """
        if self._open is None:
            look = self._waiting_start() or self._climber() or self._proposed() or self._left()
            self._open = self._batch(look) if look is not None else None
        return self._open

    def turn(self) -> str | None:
        """The proposer whose turn it is next, for a caller that has to do something for it before
        `next`. None where something else is asked first.
        """
        if self._open is not None or self._waiting_start() is not None or self._climber() is not None:
            return None
        return self._drawn()[0] if self._proposers else None

    def missed(self, name: str) -> None:
        """Learn that a proposer's turn brought nothing, though it had its cost."""
        self.bandit.told(name, paid=False)

    def told(self, batch: WayBatch, seen: Seen) -> None:
        """Learn the marks of a batch.

        Args:
            batch: what `next` returned.
            seen: the marks of every reading, by its text (see `reading_text`). A prompt whose reply
                was lost has no mark, and is not asked again.

        Raises:
            UsageError: another batch was to be asked.
        """
        if batch != self._open:
            raise UsageError("marks of a batch that was not to be asked; tell the search what `next` returned, in that order")
        self._open = None
        look, asked = self.archive.looks[point_text(batch.asking)], set(batch.prompts)
        top = self._top(look)
        look.left_out += top - look.asked - len(batch.prompts)
        look.asked = top
        look.rung += 1
        self.requests += len(batch.prompts)
        known = {reading: {one: mark for one, mark in marks.items() if one in asked} for reading, marks in seen.items()}
        self.archive.add(look, known)
        if look.rung == 1 and look.by != "start":
            self.bandit.told(look.by, paid=self._among_best(look))

    def ranking(self) -> list[RankedPoint]:
        """The best reading of each way to ask that was asked on all prompts; before that, of any."""
        return self.archive.ranking(least=len(self.plan.prompts)) or self.archive.ranking()

    def _batch(self, look: SeenWay) -> WayBatch:
        own = self._sources(look.asking)
        prompts = self.plan.prompts[look.asked : self._top(look)]
        return WayBatch(look.asking, tuple(one for one in prompts if one not in own) if own else prompts, look.by)

    def _top(self, look: SeenWay) -> int:
        """Through how many prompts a look comes with its next batch."""
        heights = self.plan.heights
        return heights[-1] if look.by == "start" else next(height for height in heights if height > look.asked)

    def _sources(self, asking: Point) -> frozenset[str]:
        """The prompts that written choices hold: with these, an answer to them would be copied."""
        return frozenset(one for name in names_written(asking) for one in self.written[name].sources)

    def _drawn(self) -> list[str]:
        """The proposers in the order that the bandit draws, once for each proposal."""
        if not self._order:
            self._order = sorted(self.bandit.order(), key=lambda name: name != self._first)
            self._first = None
        return self._order

    def _waiting_start(self) -> SeenWay | None:
        return next((look for look in self.archive.looks.values() if look.asked == 0), None)

    def _climber(self) -> SeenWay | None:
        """The best look that may climb, from the highest rung on which there is one."""
        for height in reversed(self.plan.heights[:-1]):
            waiting = [look for look in self._best_at(height) if look.asked == height]
            if waiting:
                return waiting[0]
        return None

    def may_climb(self, look: SeenWay) -> bool:
        """Whether a look is among the best third of those that came as far."""
        return any(one is look for one in self._best_at(look.asked))

    def _best_at(self, height: int) -> list[SeenWay]:
        """The best third of those that came as far, the best first."""
        here = [look for look in self.archive.looks.values() if look.asked >= height and look.by != "start"]
        return sorted(here, key=self._value, reverse=True)[: len(here) // self.plan.keep]

    def _proposed(self) -> SeenWay | None:
        """The look at what one of the proposers names, in the order that the bandit draws."""
        order, self._order = self._drawn(), []
        for name in order:
            proposal = self._asked(name) if name in self._proposers else None
            if proposal is not None:
                look = self.archive.begin(proposal.asking, name)
                look.fixes, look.breaks, look.instead_of = proposal.fixes, proposal.breaks, proposal.instead_of
                return look
        fresh = next(self._given().fresh(), None)
        return self.archive.begin(fresh, "rest") if fresh is not None else None

    def _given(self) -> Given:
        return Given(self.archive, self._space, self.plan.capabilities, self._rng, self.plan.parts)

    def _asked(self, name: str) -> Proposal | None:
        """What a proposer names, if it can be asked and was not begun. A proposer may be anybody's."""
        proposer, given = self._proposers[name], self._given()
        try:
            proposal = within(self._patience_s, lambda: proposer.propose(given))
            if proposal is None:
                return None
            asking = asking_part(point_of(proposal.asking))
        except TimeoutError:
            logger.warning("proposer %r has no answer after %g s and is not asked again", name, self._patience_s)
            del self._proposers[name]
            # It may go on drawing from the source of chance that it was given.
            self._rng = random.Random(f"{self.plan.seed} {self.requests}")
            self.bandit.rng = self._rng
            return None
        except Exception as error:  # code of anybody: it must not end a search
            logger.warning("proposer %r failed with %s and is passed over", name, type(error).__name__)
            return None
        if not self.plan.allows(asking) or point_text(asking) in self.archive.looks:
            return None
        written = {**self.written, **{one.name: one for one in proposal.written}}
        used = {name: written.get(name) for name in names_written(asking)}
        known = {name: one for name, one in used.items() if one is not None}
        if len(known) < len(used) or {p for one in known.values() for p in one.sources}.issuperset(self.plan.prompts):
            return None
        self.written = {**known, **self.written}
        return Proposal(asking, proposal.fixes, proposal.breaks, proposal.instead_of)

    def _left(self) -> SeenWay | None:
        """The best look that was not asked on every prompt."""
        left = [look for look in self.archive.looks.values() if look.asked < len(self.plan.prompts)]
        return max(left, key=self._value, default=None)

    def _among_best(self, look: SeenWay) -> bool:
        """Whether a look is among the best third of all."""
        values = sorted((self._value(other) for other in self.archive.looks.values()), reverse=True)
        return self._value(look) >= values[max(0, len(values) // self.plan.keep - 1)]

    def _value(self, look: SeenWay) -> float:
        best = self.archive.best_of(look)
        return best.value if best is not None else float("-inf")
