"""Lets candidates that an earlier race held resume with the evidence, K and alpha that they had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import RaceEnd, RaceEntrant, RaceStart

from .race import void_because


@dataclass(frozen=True, slots=True)
class PastRace:
    """A race that is over."""

    start: RaceStart
    end: RaceEnd


@dataclass(frozen=True, slots=True)
class VoidEvidence:
    """Evidence that a candidate may no longer use. changed: what has changed since that race."""

    spec_id: str
    race_id: str
    changed: tuple[str, ...]


def with_held_evidence(draft: RaceStart, past: Sequence[PastRace]) -> tuple[RaceStart, tuple[VoidEvidence, ...]]:
    """The start of a race in which held candidates resume, and the evidence that is void.

    Only a candidate's last race against this baseline counts. The new candidates alone share the
    draft's alpha; K is their number. A race without new candidates spends nothing.

    Args:
        draft: the start with every entrant as if new.
        past: oldest first.
    """
    voided: list[VoidEvidence] = []
    entrants: list[RaceEntrant] = []
    took_part = {
        old.spec_id: (old, race)
        for race in past
        if race.start.baseline_spec_id == draft.baseline_spec_id
        for old in race.start.entrants
    }
    for entrant in draft.entrants:
        old, last = took_part.get(entrant.spec_id, (entrant, None))
        if last is None or not _was_held(last, entrant.spec_id):
            entrants.append(entrant)
            continue
        resumed = entrant.model_copy(
            update={"entered_with": old.entered_with, "alpha": old.alpha, "resumes": (*old.resumes, last.start.race_id)}
        )
        changed = void_because(draft, resumed, last.start)
        if changed:
            voided.append(VoidEvidence(entrant.spec_id, last.start.race_id, changed))
        entrants.append(entrant if changed else resumed)
    fresh = sum(not e.resumes for e in entrants)
    entrants = [e if e.resumes else e.model_copy(update={"entered_with": fresh, "alpha": draft.alpha}) for e in entrants]
    start = draft.model_copy(update={"entrants": tuple(entrants), "alpha": draft.alpha if fresh else 0.0})
    return start, tuple(voided)


def _was_held(past: PastRace, spec_id: str) -> bool:
    """Whether the race held it, or promoted it and another gate then stopped it."""
    return any(s.spec_id == spec_id and s.state in ("held", "promoted") for s in past.end.standings)
