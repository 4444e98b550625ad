"""What was promoted for other models."""

from __future__ import annotations

from collections.abc import Iterable

from selfopt.errors import VariantError
from selfopt.variants.space import Point, asking_part, point_of, point_text, possible

from .base import Given, Proposal


class Transfer:
    """Proposes the ways to ask of given points, one after another.

    Args:
        points: the likeliest to help first. Those that the space does not know any more, and those
            that the server can't take, are passed over.
    """

    def __init__(self, points: Iterable[Point]) -> None:
        self._points = tuple(points)

    def propose(self, given: Given) -> Proposal | None:
        """The first of them that was not begun. None where every one was."""
        for point in self._points:
            try:
                asking = asking_part(point_of(point))
            except VariantError:
                continue
            if possible(asking, given.capabilities, given.phase) and point_text(asking) not in given.archive.looks:
                return Proposal(asking)
        return None
