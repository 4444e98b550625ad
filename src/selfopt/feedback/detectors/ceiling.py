"""Ceiling: everything passes, so the suite cannot show an improvement any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.reading import Note, comparable, counted, make_finding
from selfopt.records import Evaluation, Finding, Outcome

__all__ = ["Ceiling"]


@dataclass(frozen=True, slots=True)
class Ceiling:
    """min_runs: how many runs it takes where the spec is not known to be deterministic."""

    min_runs: int = 3

    def examine(self, evaluations: Sequence[Evaluation]) -> Sequence[Finding]:
        """One finding when every trial of the newest evaluation passes."""
        window = comparable(evaluations)[-1:]
        counts = counted(window)
        n = counts.total()
        if n == 0 or counts[Outcome.PASS] != n:
            return ()
        newest = window[0]
        if newest.determinism not in ("sampled", "complete") and newest.n_runs < self.min_runs:
            return ()
        note = Note(f"all {n} trials pass: this suite cannot show an improvement", {"n": n, "runs": newest.n_runs})
        return [make_finding("ceiling", window, note)]
