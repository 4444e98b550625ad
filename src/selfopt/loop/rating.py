"""The proposers that are made for a search, and how all of them did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from selfopt.records import ProposerRating, Reflection, SearchProposer, SearchStart, Suite
from selfopt.search.archive import Archive
from selfopt.search.foresight import Foresight, foresight
from selfopt.search.proposers import SEARCHERS, WayProposer
from selfopt.search.proposers.queued import Queued
from selfopt.search.proposers.worked import Worked

from .reflecting import NAME, judged_elsewhere

_FAILURES: SearchProposer = "failures"
_NO_PROPOSERS = frozenset({"start", "rest"})


def beside_of(suite: Suite, reflection: str | None) -> tuple[SearchProposer, ...]:
    """The proposers that a new search has beside the registered ones.

    Examples from prompts of the search are written only where other prompts decide.
    """
    failures: tuple[SearchProposer, ...] = (_FAILURES,) if judged_elsewhere(suite) else ()
    return (*failures, "reflection") if reflection is not None else failures


def proposers_of(start: SearchStart, suite: Suite, queue: Queued) -> Mapping[str, WayProposer] | None:
    """All proposers of a search, by name. None: the registered ones alone."""
    if not start.beside:
        return None
    made: dict[str, WayProposer] = {_FAILURES: Worked(start.search_id, suite, _FAILURES), NAME: queue}
    return {**SEARCHERS.all(), **{name: made[name] for name in start.beside}}


def ratings_of(archive: Archive, reflections: Sequence[Reflection], model: str | None) -> tuple[ProposerRating, ...]:
    """How each proposer did that named something, or for which a model was asked."""
    proposed = Counter(look.by for look in archive.looks.values() if look.by not in _NO_PROPOSERS)
    told = foresight(archive)
    names = sorted({*proposed, *([NAME] if reflections else [])})
    return tuple(_rating(name, proposed[name], told.get(name, Foresight()), reflections, model) for name in names)


def _rating(name: str, proposed: int, told: Foresight, reflections: Sequence[Reflection], model: str | None) -> ProposerRating:
    mine = reflections if name == NAME else ()
    return ProposerRating(
        proposer=name,
        model=model if name == NAME else None,
        proposed=proposed,
        fixed=told.fixed,
        of_fixes=told.of_fixes,
        broken=told.broken,
        of_breaks=told.of_breaks,
        questions=len(mine),
        unanswered=sum(one.unanswered is not None for one in mine),
        refused=dict(sorted(Counter(edit.refusal for one in mine for edit in one.refused).items())),
    )
