"""One of the best ways to ask, with a single part changed."""

from __future__ import annotations

from selfopt.variants.space import Point, asking_part, neighbours_of, point_text

from .base import Given

_BEST = 3


def nearby(given: Given) -> Point | None:
    """Propose a neighbour of one of the three best."""
    best = given.archive.ranking()[:_BEST]
    given.rng.shuffle(best)
    for standing in best:
        asking = asking_part(standing.point)
        near = [asking_part(point) for point in neighbours_of(asking, given.capabilities)]
        fresh = [point for point in near if point_text(point) not in given.archive.looks]
        if fresh:
            return given.rng.choice(fresh)
    return None
