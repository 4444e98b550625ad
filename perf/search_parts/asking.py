"""A world behind a budget of requests: what every search of the comparison asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from selfopt.records import Capability
from selfopt.search.archive import joined
from selfopt.search.marks import Objective, ReplyMark
from selfopt.search.proposers.tpe import suggested
from selfopt.search.search import SearchPlan, spread
from selfopt.simulate.search_worlds import WORLD_PARTS, Truth
from selfopt.variants.space import Point, asking_part, point_text, possible, readings_of, ways

CAPABILITIES: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema"})
FLOOR = 0.8


class SpentError(Exception):
    """The budget is spent."""


class WorldPrompt(Protocol):
    """A prompt of a world."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def tool_set(self) -> str: ...
    @property
    def held_out(self) -> bool: ...


class World(Protocol):
    """What answers: a scripted model, or stored replies of a real one."""

    @property
    def prompts(self) -> Sequence[WorldPrompt]: ...
    def marks(self, asking: Point, prompts: Iterable[str], /) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of one way to ask, by the text of the reading and prompt id."""
        ...

    def truth(self, point: Point, /) -> Truth:
        """How good a point is on held-out prompts."""
        ...

    def reflect(self, point: Point, failed: Sequence[str], rng: Random, /) -> tuple[Point, tuple[str, ...]] | None:
        """What a reflection model would say of failed prompts: a changed point, and what that mends."""
        ...


class Room(Protocol):
    """The points that all searches of a comparison may look at."""

    def ways(self) -> list[Point]:
        """Every way to ask."""
        ...

    def readings(self, way: Point, /) -> list[Point]:
        """Every point that asks so."""
        ...

    def suggested(self, suggest: Callable[[str, list[str]], str], /, *, reads: bool) -> Point | None:
        """A point, choice by choice, as Optuna asks for it. None for one that is not possible."""
        ...

    def plan(self, prompts: tuple[str, ...], seed: int, /) -> SearchPlan:
        """What our search is made of."""
        ...


class ScriptedRoom:
    """The space of the scripted worlds."""

    def ways(self) -> list[Point]:
        """As in `Room`."""
        return list(ways(CAPABILITIES, parts=WORLD_PARTS))

    def readings(self, way: Point, /) -> list[Point]:
        """As in `Room`."""
        return list(readings_of(way))

    def suggested(self, suggest: Callable[[str, list[str]], str], /, *, reads: bool) -> Point | None:
        """As in `Room`."""
        point = suggested(suggest, CAPABILITIES, reads=reads, parts=WORLD_PARTS)
        return point if possible(point, CAPABILITIES) else None

    def plan(self, prompts: tuple[str, ...], seed: int, /) -> SearchPlan:
        """As in `Room`."""
        return SearchPlan(prompts, CAPABILITIES, seed=seed, parts=WORLD_PARTS)


@dataclass(slots=True)
class Asking:
    """Counts requests. A request that was made before is free, for everybody.

    Attributes:
        world: what answers.
        budget: how many requests may be made.
        seed: of the search.
        room: the points that may be looked at.
        spent: how many were made.
        picks: what the search would have picked after so many requests.
    """

    world: World
    budget: int
    seed: int
    room: Room = field(default_factory=ScriptedRoom)
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
        return values[text], joined(asking_part(asking), text)

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
