"""Truncation: replies that were cut off at the token budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.records import Evaluation, Finding, Outcome

from .reading import Note, comparable, counted, make_finding

__all__ = ["Truncation"]


@dataclass(frozen=True, slots=True)
class Truncation:
    """min_share: from this share of truncated replies on it is a finding."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation]) -> Sequence[Finding]:
        """One finding with the share of truncated replies."""
        window = comparable(evaluations)
        counts = counted(window)
        truncated, n = counts[Outcome.TRUNCATED], counts.total()
        if truncated == 0 or truncated / n < self.min_share:
            return ()
        note = Note(
            f"{truncated} of {n} replies were cut off at the token budget",
            {"truncated": truncated, "of": n, "share": truncated / n},
        )
        return [make_finding("truncation", window, note.add(window, lambda _r, _i, o: o is Outcome.TRUNCATED))]
