"""What a search has seen: marks of every reading of every way to ask, and estimates from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from selfopt.variants.space import Point, asking_part, point_of, point_text

from .marks import Mark, Objective

_OWN = 20.0
"""From so many prompts on, a point's own marks count more than what its reading brought elsewhere."""

Seen = Mapping[str, Mapping[str, Mark]]
"""The marks of every reading of the same replies: by the text of the point, then by prompt id."""


@dataclass(slots=True)
class Look:
    """One way to ask, and what was seen of it.

    Attributes:
        asking: the choices that shape its requests.
        by: who proposed it.
        rung: how many rungs of prompts it has climbed.
        marks: by reading, then by prompt id. A reading is a point's choices beside the asking ones.
    """

    asking: Point
    by: str
    rung: int = 0
    marks: dict[str, dict[str, Mark]] = field(default_factory=dict)
    _raw: dict[str, float] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """On how many prompts it was asked."""
        return len(next(iter(self.marks.values()), ()))


@dataclass(frozen=True, slots=True)
class Standing:
    """A point and what is thought of it.

    Attributes:
        point: the choices.
        value: its estimated value under the objective.
        n: on how many prompts it was asked.
        by: who proposed the way to ask.
    """

    point: Point
    value: float
    n: int
    by: str


class Archive:
    """Everything that was seen.

    Every reading of a reply is judged, as that costs no request. The best of many readings on a few
    prompts is a matter of luck. So the value of a reading is estimated from its own marks and from
    what the same reading brought with other ways to ask. The more prompts there are, the more its
    own marks count.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.looks: dict[str, Look] = {}
        self._effects: dict[str, float] | None = None

    def begin(self, asking: Point, by: str) -> Look:
        """The look at a way to ask: a new one if there is none."""
        return self.looks.setdefault(point_text(asking), Look(asking_part(asking), by))

    def add(self, look: Look, seen: Seen) -> None:
        """Take the marks of further prompts."""
        for text, marks in seen.items():
            look.marks.setdefault(text, {}).update(marks)
        look._raw = {text: self.objective.value(marks.values()) for text, marks in look.marks.items()}
        self._effects = None

    def standings(self, look: Look) -> Iterator[Standing]:
        """Every reading of a look."""
        if not look._raw:
            return
        effects, mean = self.effects(), sum(look._raw.values()) / len(look._raw)
        own = look.n / (look.n + _OWN)
        for reading, raw in look._raw.items():
            value = own * raw + (1 - own) * (mean + effects.get(reading, 0.0))
            yield Standing(joined(look.asking, reading), value, look.n, look.by)

    def best_of(self, look: Look) -> Standing | None:
        """The best reading of a look. None before its first marks."""
        return max(self.standings(look), key=lambda standing: standing.value, default=None)

    def ranking(self, *, least: int = 0) -> list[Standing]:
        """The best reading of each look that was asked on so many prompts, the best first."""
        found = (self.best_of(look) for look in self.looks.values() if look.n >= least)
        return sorted((one for one in found if one is not None), key=lambda one: (-one.value, point_text(one.point)))

    def effects(self) -> Mapping[str, float]:
        """What each reading brought on average, beside the average of all readings."""
        if self._effects is None:
            sums: dict[str, float] = {}
            weight = 0.0
            for look in self.looks.values():
                if not look._raw:
                    continue
                mean = sum(look._raw.values()) / len(look._raw)
                weight += look.n
                for reading, raw in look._raw.items():
                    sums[reading] = sums.get(reading, 0.0) + look.n * (raw - mean)
            self._effects = {reading: total / weight for reading, total in sums.items()} if weight else {}
        return self._effects


def reading_text(point: Point) -> str:
    """The choices of a point that only change how replies are read, in one line."""
    asking = asking_part(point)
    return " ".join(f"{name}={choice}" for name, choice in point_of(point).items() if name not in asking)


def joined(asking: Point, reading: str) -> Point:
    """The point of a way to ask and a reading."""
    return point_of({**asking, **dict(part.split("=", 1) for part in reading.split())})
