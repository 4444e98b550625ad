"""Our search, alone, with Optuna as one more proposer, and with a scripted reflection model."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.search.archive import reading_text
from selfopt.search.proposers import SEARCHERS, Given, Proposal, WayProposer
from selfopt.search.search import Search
from selfopt.variants.space import asking_part

from .asking import Asking, SpentError

_BEST = 3


class Reflecting:
    """Asks a world's scripted reflection model what would mend the failures of one of the best."""

    def __init__(self, asking: Asking) -> None:
        self._world = asking.world

    def propose(self, given: Given) -> Proposal | None:
        """What the reflection model names, with what it expects."""
        best = given.archive.ranking()[:_BEST]
        if not best:
            return None
        point = given.rng.choice(best).point
        marks = given.archive.begin(point, "").marks[reading_text(point)]
        failed = [one for one, mark in marks.items() if not mark.good]
        found = self._world.reflect(point, failed[:20], given.rng)
        return Proposal(asking_part(found[0]), frozenset(found[1]), instead_of=point) if found is not None else None


def ours(asking: Asking, proposers: Mapping[str, WayProposer] | None = None) -> None:
    """Search until the budget is spent."""
    search = Search(asking.room.plan(asking.prompts, asking.seed), asking.objective, proposers)
    try:
        while (batch := search.next()) is not None:
            search.told(batch, asking.marks(batch.asking, batch.prompts))
            asking.picked(search.ranking()[0].point)
    except SpentError:
        return


def with_reflection(asking: Asking) -> None:
    """The same with the reflection model as a proposer."""
    ours(asking, {**SEARCHERS.all(), "reflection": Reflecting(asking)})


def with_optuna(asking: Asking) -> None:
    """The same with Optuna as a proposer."""
    from selfopt.search.proposers.tpe import Optuna

    ours(asking, {**SEARCHERS.all(), "optuna": Optuna()})
