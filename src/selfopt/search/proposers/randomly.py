"""Any way to ask, with the same chance for each."""

from __future__ import annotations

from selfopt.variants.space import Point, point_text

from .base import Given

_TRIES = 200


def randomly(given: Given) -> Point | None:
    """Propose a way to ask that was not seen, at random."""
    for _ in range(_TRIES):
        point = given.rng.choice(given.space)
        if point_text(point) not in given.archive.looks:
            return point
    fresh = [point for point in given.space if point_text(point) not in given.archive.looks]
    return given.rng.choice(fresh) if fresh else None
