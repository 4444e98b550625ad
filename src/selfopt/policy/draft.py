"""The start of a race, checked."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from selfopt.errors import EvidenceError
from selfopt.records import RaceStart

__all__ = ["draft_race"]


def draft_race(**fields: Any) -> RaceStart:
    """A `RaceStart` of these fields, with every entrant as if new (see `with_held_evidence`). EvidenceError, in one line, for what is not
    possible: a split without prompts, an alpha or a setting out of range, a spec against itself, missing known outcomes."""
    if not fields.get("prompt_ids"):
        raise EvidenceError(
            f"the split {fields.get('split')!r} of the suite has no prompts to race on; mark some with `split: search`, or choose another suite"
        )
    if not fields.get("entrants"):
        raise EvidenceError("a race needs at least one candidate besides the baseline")
    try:
        return RaceStart(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EvidenceError(f"a race cannot start: {where + ': ' if where else ''}{first['msg']}") from None
