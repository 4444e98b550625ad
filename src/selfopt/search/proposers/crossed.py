"""Two of the best ways to ask, with each part taken from one of them."""

from __future__ import annotations

from selfopt.variants.space import PARTS, Point, asking_part, point_of, point_text, possible

from .base import Given

_BEST = 6
_TRIES = 20


def crossed(given: Given) -> Point | None:
    """Propose a child of two of the six best."""
    best = [asking_part(standing.point) for standing in given.archive.ranking()[:_BEST]]
    if len(best) < 2:
        return None
    for _ in range(_TRIES):
        one, other = given.rng.sample(best, 2)
        names = [part.name for part in PARTS if not part.reads]
        child = point_of({name: c for name in names if (c := given.rng.choice((one, other)).get(name)) is not None})
        if possible(child, given.capabilities) and point_text(child) not in given.archive.looks:
            return child
    return None
