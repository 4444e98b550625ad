"""A world of stored replies: what a real model said, and how each reading of that was judged.

`perf/search_replay_export.py` writes the file that it is read from. It holds outcomes alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from selfopt.search.archive import joined, reading_text
from selfopt.search.marks import ReplyMark
from selfopt.search.search import SearchPlan
from selfopt.simulate.search_worlds import Truth
from selfopt.variants.space import Point, asking_part, point_from, point_text

from .asking import CAPABILITIES

REPLAY = Path(__file__).parent.parent / "data" / "replay_05b.json"
_INSIGHT = 0.5
_LOOKED_AT = 6
"""The scripted reflection model is that of `SearchWorld.reflect`."""


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """A prompt that was asked. held_out: whether a search may not see it."""

    id: str
    kind: str
    tool_set: str
    needs_call: bool
    held_out: bool


class StoredWorld:
    """The outcomes of some points of the space, with some tool sets held out.

    Args:
        name: which world of the file.
        seed: says which tool sets are held out (see `splits_of`).
    """

    def __init__(self, name: str, seed: int, path: Path = REPLAY) -> None:
        kept = read(path)["worlds"][name]
        splits = splits_of(kept["prompts"])
        out = splits[seed % len(splits)]
        self.prompts = tuple(StoredPrompt(**one, held_out=one["tool_set"] in out) for one in kept["prompts"])
        self._needs = {one.id: one.needs_call for one in self.prompts}
        self._outcomes: Mapping[str, Mapping[str, Mapping[str, int]]] = {
            way: {
                reading: {one.id: int(digit) for one, digit in zip(self.prompts, digits, strict=True)}
                for reading, digits in by_reading.items()
            }
            for way, by_reading in kept["ways"].items()
        }

    @property
    def size(self) -> int:
        """How many requests all ways to ask take on all search prompts."""
        return len(self._outcomes) * sum(not one.held_out for one in self.prompts)

    def points(self) -> list[Point]:
        """Every point whose outcomes are known."""
        return [joined(point_from(way), reading) for way, found in self._outcomes.items() for reading in found]

    def marks(self, asking: Point, prompts: Iterable[str], /) -> dict[str, dict[str, ReplyMark]]:
        """The marks of every reading of one way to ask, by the text of the reading and prompt id."""
        found, wanted = self._outcomes[point_text(asking_part(asking))], list(prompts)
        return {text: {one: self._mark(outcomes, one) for one in wanted} for text, outcomes in found.items()}

    def _mark(self, outcomes: Mapping[str, int], prompt: str) -> ReplyMark:
        passed, called = outcomes[prompt] & 1, outcomes[prompt] & 2
        return ReplyMark(bool(passed), self._needs[prompt], bool(called))

    def truth(self, point: Point, /) -> Truth:
        """How good a point was on all held-out prompts."""
        outcomes = self._of(point)
        held_out = [one for one in self.prompts if one.held_out]
        good = {one: [self._mark(outcomes, p.id).good for p in held_out if p.needs_call == one] for one in (True, False)}
        right, held = sum(good[True]), sum(good[False])
        return Truth((right + held) / len(held_out), right / len(good[True]), held / len(good[False]))

    def _of(self, point: Point) -> Mapping[str, int]:
        return self._outcomes[point_text(asking_part(point))][reading_text(point)]

    def reflect(self, point: Point, failed: Sequence[str], rng: Random, /) -> tuple[Point, tuple[str, ...]] | None:
        """What a scripted reflection model says of failed prompts: another point, and what it mends.

        It thinks of six of the points that share most choices with this one, and knows half of the
        time which of them mends most of these prompts.
        """
        others = [one for one in self.points() if one != point]
        if not others or not failed:
            return None
        others.sort(key=lambda one: (len(set(one.items()) ^ set(point.items())), rng.random()))
        looked_at = others[:_LOOKED_AT]
        mended = {point_text(one): [p for p in failed if self._mark(self._of(one), p).good] for one in looked_at}
        knows = rng.random() < _INSIGHT
        changed = max(looked_at, key=lambda one: len(mended[point_text(one)])) if knows else rng.choice(looked_at)
        guessed = rng.sample(list(failed), len(failed) // 3)
        return changed, tuple(mended[point_text(changed)] if rng.random() < _INSIGHT else guessed)


class StoredRoom:
    """The points of a world of stored replies."""

    def __init__(self, world: StoredWorld) -> None:
        self._of: dict[str, list[Point]] = {}
        for point in world.points():
            self._of.setdefault(point_text(asking_part(point)), []).append(point)

    def ways(self) -> list[Point]:
        """As in `Room`."""
        return list(map(point_from, self._of))

    def readings(self, way: Point, /) -> list[Point]:
        """As in `Room`."""
        return self._of[point_text(asking_part(way))]

    def suggested(self, suggest: Callable[[str, list[str]], str], /, *, reads: bool) -> Point | None:
        """As in `Room`: the way to ask, then the reading. Few combinations of parts were asked."""
        way = point_from(suggest("way", [point_text(one) for one in self.ways()]))
        return joined(way, suggest("reading", [reading_text(one) for one in self.readings(way)])) if reads else way

    def plan(self, prompts: tuple[str, ...], seed: int, /) -> SearchPlan:
        """As in `Room`."""
        return _StoredPlan(prompts, CAPABILITIES, seed=seed, stored=tuple(self.ways()))


@dataclass(frozen=True)
class _StoredPlan(SearchPlan):
    """A plan of the ways to ask that were asked."""

    stored: tuple[Point, ...] = ()

    def allows(self, asking: Point) -> bool:
        """Whether a way to ask was asked."""
        return dict(asking) in self.stored

    def space(self) -> tuple[Point, ...]:
        """Every way that was asked."""
        return self.stored


def splits_of(prompts: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Every choice of half of the tool sets, rounded down, to be held out, in a fixed random order.

    Each part needs a quarter of the prompts that need no call: else nothing would tell of restraint.
    """
    tool_sets = sorted({one["tool_set"] for one in prompts})
    idle = [one["tool_set"] for one in prompts if not one["needs_call"]]
    splits = [
        out
        for out in combinations(tool_sets, len(tool_sets) // 2)
        if 1 / 4 <= sum(one in out for one in idle) / len(idle) <= 3 / 4
    ]
    Random("splits").shuffle(splits)
    return splits


@cache
def read(path: Path) -> Any:
    """The file of outcomes."""
    return json.loads(path.read_text("utf-8"))
