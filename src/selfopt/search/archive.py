"""What a search has seen: marks of every reading of every way to ask, and estimates from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from selfopt.variants.space import Point, asking_part, point_of, point_text

from .estimates import Estimates, PointEstimate, Summary, estimated, summary
from .marks import Objective, ReplyMark, WayCost

Seen = Mapping[str, Mapping[str, ReplyMark]]
"""The marks of every reading of the same replies: by `reading_text`, then by prompt id."""


@dataclass(slots=True)
class SeenWay:
    """One way to ask, and what was seen of it.

    Attributes:
        asking: the choices that shape its requests.
        by: who proposed it.
        fixes: the prompts that its proposer expects it to pass where `instead_of` fails.
        breaks: the prompts that its proposer expects it to fail where `instead_of` passes.
        instead_of: the point that these expectations compare it with.
        asked: on how many prompts of the plan it was asked.
        rung: how many batches of prompts it was asked.
        marks: by reading, then by prompt id. A prompt whose reply was lost has none.
        cost: what it takes on a prompt, whatever the reading.
    """

    asking: Point
    by: str
    fixes: frozenset[str] = frozenset()
    breaks: frozenset[str] = frozenset()
    instead_of: Point | None = None
    asked: int = 0
    rung: int = 0
    marks: dict[str, dict[str, ReplyMark]] = field(default_factory=dict)
    cost: WayCost = field(default_factory=WayCost)


@dataclass(frozen=True, slots=True)
class RankedPoint:
    """A point and what is thought of it.

    Attributes:
        point: the choices.
        value: its estimated value under the objective.
        accuracy: its estimated accuracy.
        call_accuracy: its estimated call accuracy; None where no prompt needs a call.
        restraint: its estimated restraint; None where every prompt needs a call.
        n: on how many prompts it was asked.
        by: who proposed the way to ask.
        cost: what the way to ask takes on a prompt.
    """

    point: Point
    value: float
    accuracy: float
    call_accuracy: float | None
    restraint: float | None
    n: int
    by: str
    cost: WayCost = field(default_factory=WayCost)


class Archive:
    """Everything that was seen.

    Every reading of a reply is judged, as that costs no request. The best of many readings on a few
    prompts is a matter of luck, and so is the best of many ways to ask. So a value is estimated from
    the marks of the point and from what points brought that are like it. The more prompts there are,
    the more its own marks count (see `estimates`).
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.looks: dict[str, SeenWay] = {}
        self._estimates: Estimates | None = None
        self._best: dict[str, RankedPoint] = {}
        self._sums: dict[str, Summary] = {}

    def begin(self, asking: Point, by: str) -> SeenWay:
        """The look at a way to ask: a new one if there is none."""
        asking = asking_part(asking)
        return self.looks.setdefault(point_text(asking), SeenWay(asking, by))

    def add(self, look: SeenWay, seen: Seen) -> None:
        """Take the marks of further prompts."""
        for text, marks in seen.items():
            look.marks.setdefault(text, {}).update(marks)
        self._sums[point_text(look.asking)] = summary(look.marks)
        look.cost = WayCost.of(next(iter(look.marks.values()), {}).values())
        self._estimates = None

    def estimates(self) -> Estimates:
        """What is thought of every way to ask that was seen, and of others like them."""
        if self._estimates is None:
            self._estimates = estimated(
                {text: (self.looks[text].asking, summed) for text, summed in self._sums.items()}, self.objective
            )
            self._best = {}
        return self._estimates

    def standings(self, look: SeenWay) -> Sequence[RankedPoint]:
        """Every reading of a look. None before its first marks."""
        seen = self.estimates().of(point_text(look.asking))
        return [self._ranked(look, reading, one) for reading, one in seen.items()]

    def best_of(self, look: SeenWay) -> RankedPoint | None:
        """The best reading of a look. None before its first marks."""
        seen, text = self.estimates().of(point_text(look.asking)), point_text(look.asking)
        if not seen:
            return None
        if text not in self._best:
            reading = max(seen, key=lambda one: (seen[one].value, -len(one), one))
            self._best[text] = self._ranked(look, reading, seen[reading])
        return self._best[text]

    def _ranked(self, look: SeenWay, reading: str, one: PointEstimate) -> RankedPoint:
        value = one.value - self.objective.price(look.cost)
        point = joined(look.asking, reading)
        return RankedPoint(point, value, one.accuracy, one.call_accuracy, one.restraint, look.asked, look.by, look.cost)

    def ranking(self, *, least: int = 0) -> list[RankedPoint]:
        """The best reading of each look that was asked on so many prompts, the best first."""
        found = (self.best_of(look) for look in self.looks.values() if look.asked >= least)
        return sorted((one for one in found if one is not None), key=lambda one: (-one.value, point_text(one.point)))


def reading_text(point: Point) -> str:
    """The choices of a point that only change how replies are read, in one line."""
    asking = asking_part(point)
    return " ".join(f"{name}={choice}" for name, choice in point_of(point).items() if name not in asking)


def joined(asking: Point, reading: str) -> Point:
    """The point of a way to ask and a reading."""
    return point_of({**asking, **dict(part.split("=", 1) for part in reading.split())})
