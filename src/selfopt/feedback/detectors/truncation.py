"""Truncation: replies are cut off at the token budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.comparable import cells, comparable, counted, make_finding
from selfopt.records import Evaluation, Finding, Outcome, PolicyThresholds, TruncationFigures


@dataclass(frozen=True, slots=True)
class Truncation:
    """Finds a token budget that is too small. min_share: the smallest share that counts."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding with the share of truncated replies and the number of right calls."""
        window = comparable(evaluations)
        counts = counted(window)
        truncated, n = counts[Outcome.TRUNCATED], counts.total()
        if truncated == 0 or truncated / n < self.min_share:
            return ()
        right = sum(1 for row, _, outcome in cells(window) if row.needs_call and outcome is Outcome.PASS)
        figures = TruncationFigures(truncated=truncated, of=n, share=truncated / n, calls_right=right)
        return [make_finding(window, figures, lambda _row, _index, outcome: outcome is Outcome.TRUNCATED)]


DETECTOR = Truncation()
