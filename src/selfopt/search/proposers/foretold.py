"""The way to ask that promises most, by what ways like it brought."""

from __future__ import annotations

from selfopt.search.archive import reading_text

from .base import Given, Proposal

_READINGS = 6
_LOOKED_AT = 60
_CURIOUS = 1.0
"""How many standard deviations above what is expected count as promise."""


class Foretold:
    """Proposes what promises most among many ways that were not begun, drawn at random.

    The upper confidence bound of a Gaussian process (Srinivas et al. 2010).
    """

    def propose(self, given: Given) -> Proposal | None:
        """The most promising way. None before the first marks, or where none is left."""
        ranking = given.archive.ranking()
        fresh = list(given.fresh())
        if not ranking or not fresh:
            return None
        readings = list(dict.fromkeys(reading_text(standing.point) for standing in ranking))[:_READINGS]
        looked_at = given.rng.sample(fresh, min(_LOOKED_AT, len(fresh)))
        estimates = given.archive.estimates()
        told = [estimates.foretold(way, readings) for way in looked_at]
        best = max(range(len(told)), key=lambda i: told[i][0] + _CURIOUS * told[i][1])
        return Proposal(looked_at[best])


PROPOSER = Foretold()
