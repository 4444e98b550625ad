"""Marks as a model of no kind would get them, for tests of the search."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from hypothesis import strategies as st

from selfopt.search import Archive, Objective, ReplyMark, Search, Seen, WayBatch, reading_text
from selfopt.variants.space import Point, point_text, readings_of

READINGS = tuple(reading_text(point) for point in readings_of({}))
PROMPTS = tuple(f"p{i}" for i in range(30))
MARKS = st.builds(ReplyMark, st.booleans(), st.booleans(), st.booleans())


def needs_call(prompt: str) -> bool:
    """Two prompts of three need a call."""
    return int(prompt.removeprefix("p")) % 3 > 0


def marked(chance: Callable[[Point, str], float], asking: Point, prompts: Iterable[str], seed: int = 0) -> Seen:
    """Marks that are good with this chance, by the way to ask and the reading; the same every time."""
    seen: dict[str, dict[str, ReplyMark]] = {}
    text = point_text(asking)
    drawn = {prompt: random.Random(f"{seed} {text} {prompt}").random() for prompt in prompts}
    for reading in READINGS:
        seen[reading] = {}
        for prompt, luck in drawn.items():
            good = luck < chance(asking, reading)
            seen[reading][prompt] = ReplyMark(good, needs_call(prompt), good == needs_call(prompt))
    return seen


def archive_of(ways: Sequence[Point], looks: int, seed: int) -> Archive:
    """An archive with so many looks, each at twelve prompts."""
    archive, rng = Archive(Objective()), random.Random(seed)
    for way in rng.sample(ways, min(looks, len(ways))):
        look = archive.begin(way, "random")
        archive.add(look, marked(lambda asking, reading: 0.2 + 0.1 * len(asking), way, PROMPTS[:12], seed))
        look.asked, look.rung = 12, 1
    return archive


def played(search: Search, marks: Callable[[WayBatch], Seen], most: int) -> list[WayBatch]:
    """What a search asks, up to so many batches."""
    batches: list[WayBatch] = []
    while len(batches) < most and (batch := search.next()) is not None:
        batches.append(batch)
        search.told(batch, marks(batch))
    return batches
