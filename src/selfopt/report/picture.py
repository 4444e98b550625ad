"""The picture on top of a report: how often each model is right, before and after, with the intervals.

Places are percents, so that the picture takes the width there is and its words keep their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import Evaluation
from selfopt.words.first_run import percent

from .standings import ServingStanding, interval_of

_BEFORE, _AFTER, _FLOOR = 14, 32, 46  # heights, in pixels


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One model and phase. strip: as HTML, made of figures alone."""

    name: str
    told: str
    strip: str


LEGEND: tuple[tuple[str, str], ...] = (
    ('<line x1="2" y1="6" x2="34" y2="6" class="old"/><circle cx="18" cy="6" r="4" class="old-dot"/>', "before"),
    ('<line x1="2" y1="6" x2="34" y2="6" class="new"/><circle cx="18" cy="6" r="5" class="new-dot"/>', "now"),
    ('<line x1="18" y1="0" x2="18" y2="12" class="silent"/>', "a model that never calls a tool"),
)
"""What the signs mean."""


def picture_rows(found: Sequence[ServingStanding]) -> list[PictureRow]:
    """A row for each model and phase that was measured."""
    return [
        PictureRow(one.name, _told(one.before, one.after), _strip(one.before, one.after))
        for one in found
        if one.after is not None
    ]


def _told(before: Evaluation | None, after: Evaluation) -> str:
    now = percent(after.metrics.accuracy)
    return now if before is None else f"{percent(before.metrics.accuracy)} -> {now}"


def _strip(before: Evaluation | None, after: Evaluation) -> str:
    silent = _at(after.metrics.silent.accuracy)
    parts = [f'<line x1="{at}%" y1="4" x2="{at}%" y2="{_FLOOR}" class="track"/>' for at in (0, 25, 50, 75, 100)]
    parts.append(f'<line x1="{silent}" y1="4" x2="{silent}" y2="{_FLOOR}" class="silent"/>')
    parts += _mark(before, _BEFORE, "old", 4.5) if before is not None else []
    parts += _mark(after, _AFTER, "new", 6)
    label = f"Right answers: {_told(before, after).replace('->', 'then')}".replace('"', "")
    return f'<svg class="strip" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _mark(evaluation: Evaluation, y: int, kind: str, radius: float) -> list[str]:
    seen = interval_of(evaluation)
    line = [] if seen is None else [f'<line x1="{_at(seen.low)}" y1="{y}" x2="{_at(seen.high)}" y2="{y}" class="{kind}"/>']
    return [*line, f'<circle cx="{_at(evaluation.metrics.accuracy)}" cy="{y}" r="{radius}" class="{kind}-dot"/>']


def _at(share: float) -> str:
    return f"{100 * share:.1f}%"
