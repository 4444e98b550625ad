"""Any way to ask, with the same chance for each."""

from __future__ import annotations

from .base import Given, Proposal


class Anywhere:
    """Proposes at random."""

    def propose(self, given: Given) -> Proposal | None:
        """A way to ask that was not begun. None where there is none left."""
        fresh = list(given.fresh())
        return Proposal(given.rng.choice(fresh)) if fresh else None


PROPOSER = Anywhere()
