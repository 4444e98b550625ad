"""Two of the best ways to ask, with each part taken from one of them."""

from __future__ import annotations

from selfopt.variants.space import asking_part, drawn_parts, point_of, point_text, possible

from .base import Given, Proposal

_BEST = 6
_TRIES = 20


class Crossed:
    """Proposes children of two of the six best."""

    def propose(self, given: Given) -> Proposal | None:
        """A child that was not begun. None where twenty tries give none."""
        best = [asking_part(standing.point) for standing in given.archive.ranking()[:_BEST]]
        if len(best) < 2:
            return None
        parts = drawn_parts(given.phase, given.capabilities)
        for _ in range(_TRIES):
            one, other = given.rng.sample(best, 2)
            # How tokens are drawn is taken from one of them as a whole.
            mixed = {
                part.name: (one if part.samples else given.rng.choice((one, other))).get(part.name, part.default)
                for part in parts
            }
            child = point_of(mixed)
            if possible(child, given.capabilities, given.phase) and point_text(child) not in given.archive.looks:
                return Proposal(child)
        return None


PROPOSER = Crossed()
