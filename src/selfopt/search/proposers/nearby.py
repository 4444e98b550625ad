"""One of the best ways to ask, with a single part changed."""

from __future__ import annotations

from selfopt.variants.space import asking_part, neighbours_of, point_text

from .base import Given, Proposal

_BEST = 3


class Nearby:
    """Proposes neighbours of one of the three best."""

    def propose(self, given: Given) -> Proposal | None:
        """A neighbour that was not begun. None where every one was."""
        best = given.archive.ranking()[:_BEST]
        given.rng.shuffle(best)
        for standing in best:
            point = asking_part(standing.point)
            near = [asking_part(one) for one in neighbours_of(point, given.capabilities, given.phase, given.parts)]
            fresh = [point for point in near if point_text(point) not in given.archive.looks]
            if fresh:
                return Proposal(given.rng.choice(fresh))
        return None


PROPOSER = Nearby()
