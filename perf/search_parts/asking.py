"""A scripted world behind a budget of requests: what every search of the comparison asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from selfopt.records import Capability
from selfopt.search.archive import joined
from selfopt.search.marks import Objective, ReplyMark
from selfopt.search.search import spread
from selfopt.simulate.search_worlds import SearchWorld, Truth
from selfopt.variants.space import Point, asking_part, point_text

CAPABILITIES: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema"})
FLOOR = 0.8


class SpentError(Exception):
    """The budget is spent."""


@dataclass(slots=True)
class Asking:
    """Counts requests. A request that was made before is free, for everybody.

    Attributes:
        world: what answers.
        budget: how many requests may be made.
        seed: of the search.
        spent: how many were made.
        picks: what the search would have picked after so many requests.
    """

    world: SearchWorld
    budget: int
    seed: int
    spent: int = 0
    picks: list[tuple[int, Point]] = field(default_factory=list)
    _known: dict[str, dict[str, dict[str, ReplyMark]]] = field(default_factory=dict)

    @property
    def objective(self) -> Objective:
        """Accuracy at the floor."""
        return Objective(restraint=FLOOR)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The search prompts in an order for climbing."""
        known = [prompt for prompt in self.world.prompts if not prompt.held_out]
        return spread({prompt.id: (prompt.kind, prompt.tool_set) for prompt in known}, self.seed)

    def marks(self, asking: Point, prompts: Sequence[str]) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of a way to ask. SpentError where they cost too much."""
        known = self._known.setdefault(point_text(asking_part(asking)), {})
        new = [one for one in prompts if one not in next(iter(known.values()), {})]
        if self.spent + len(new) > self.budget:
            raise SpentError
        self.spent += len(new)
        for text, marks in self.world.marks(asking, new).items():
            known.setdefault(text, {}).update(marks)
        return {text: {one: marks[one] for one in prompts} for text, marks in known.items()}

    def best(self, asking: Point, marks: dict[str, dict[str, ReplyMark]]) -> tuple[float, Point]:
        """The best reading of a way to ask by these marks."""
        values = {text: self.objective.value(found.values()) for text, found in marks.items()}
        text = max(values, key=lambda one: (values[one], -len(one)))
        return values[text], joined(asking, text)

    def picked(self, point: Point) -> None:
        """Note what would be picked now."""
        self.picks.append((self.spent, point))

    def after(self, requests: int) -> Point:
        """What was picked after so many requests. The start before the first pick."""
        return next((point for spent, point in reversed(self.picks) if spent <= requests), {})

    def curve(self, places: Iterable[int]) -> Iterator[tuple[Truth, float]]:
        """The truth of what was picked after so many requests, and what it is worth: its accuracy
        on held-out prompts. What is below the floor is not promoted, and the start's counts.
        """
        start = self.world.truth({})
        for place in places:
            truth = self.world.truth(self.after(place))
            yield truth, truth.accuracy if truth.restraint >= FLOOR else start.accuracy
