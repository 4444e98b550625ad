"""The proposers that are made for a search: worked examples from failures, and a model's advice."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.records import SearchProposer, SearchStart, Suite
from selfopt.search.proposers import WayProposer
from selfopt.search.proposers.queued import Queued
from selfopt.search.proposers.worked import Worked

from .reflecting import NAME, judged_elsewhere

_FAILURES: SearchProposer = "failures"


def beside_of(suite: Suite, reflection: str | None) -> tuple[SearchProposer, ...]:
    """The proposers that a new search has beside the registered ones.

    Examples from prompts of the search are written only where other prompts decide.
    """
    failures: tuple[SearchProposer, ...] = (_FAILURES,) if judged_elsewhere(suite) else ()
    return (*failures, "reflection") if reflection is not None else failures


def made_for(start: SearchStart, suite: Suite, queue: Queued) -> Mapping[str, WayProposer]:
    """These proposers for a search, by name. queue: of what a model proposes."""
    made: dict[str, WayProposer] = {_FAILURES: Worked(start.search_id, suite, _FAILURES), NAME: queue}
    return {name: made[name] for name in start.beside}
