"""Unread format: the model calls tools in a format that no parser of the variant reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.feedback.comparable import cells, comparable, counted, make_finding
from selfopt.reading import FAMILIES
from selfopt.records import UNKNOWN_FORMAT, Evaluation, Finding, Outcome, OutcomeRow, PolicyThresholds, UnreadFormatFigures


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """Finds parsers that do not fit the model. min_share: the smallest share that counts."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding with the share, the most frequent format and an example, if the verdicts tell."""
        window = comparable(evaluations)
        unread = [(row, index) for row, index, outcome in cells(window) if outcome is Outcome.UNPARSED]
        total = counted(window).total()
        if not unread or len(unread) / total < self.min_share:
            return ()
        formats = Counter(_of_run(row.unread, index) or UNKNOWN_FORMAT for row, index in unread)
        main = next((name for name, _ in formats.most_common() if name != UNKNOWN_FORMAT), UNKNOWN_FORMAT)
        alike = [(row, index) for row, index in unread if (_of_run(row.unread, index) or UNKNOWN_FORMAT) == main]
        figures = UnreadFormatFigures(
            unparsed=len(unread), of=total, share=len(unread) / total, format=main, **_named(main), **_shown(alike)
        )
        return [make_finding(window, figures, lambda _row, _index, outcome: outcome is Outcome.UNPARSED)]


def _of_run(runs: Sequence[str | None], index: int) -> str | None:
    """The value of a run. A row of an earlier version may have none."""
    return runs[index] if index < len(runs) else None


def _named(name: str) -> dict[str, Any]:
    """How people and servers call a family. Nothing is said of what the table does not have."""
    row = FAMILIES.get(name) if name in FAMILIES.builtin else None
    if row is None:
        return {}
    flags = "; ".join(f"{server}: {flag}" for server, flag in row.server_parser.items())
    return {"title": row.title or None, "server_parser": flags or None}


def _shown(alike: Sequence[tuple[OutcomeRow, int]]) -> dict[str, Any]:
    """An example of these trials, and the chain that reads them."""
    readers = Counter(_of_run(row.read_by, index) for row, index in alike)
    row, index = next(((row, index) for row, index in alike if row.excerpt), alike[0])
    return {
        "read_by": readers.most_common(1)[0][0],
        "example": row.excerpt or None,
        "trial": _of_run(row.trial_ids, index) if row.excerpt else None,
    }


DETECTOR = UnreadFormat()
