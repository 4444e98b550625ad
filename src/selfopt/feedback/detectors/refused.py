"""Refused: the server says why it does not serve requests. One finding for each cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.errors import Cause
from selfopt.feedback.comparable import Wanted, cause_of, cells, comparable, make_finding
from selfopt.records import Evaluation, Finding, Outcome, OutcomeRow, PolicyThresholds, RefusedFigures


@dataclass(frozen=True, slots=True)
class Refused:
    """Finds what a server names as the cause. min_share: the smallest share of trials that counts."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding for each cause, the most frequent first, in the server's own words."""
        window = comparable(evaluations)
        seen = Counter(cause_of(*cell) for cell in cells(window))
        n = seen.total()
        named = [(cause, count) for cause, count in seen.most_common() if cause is not None]
        return [
            make_finding(
                window,
                RefusedFigures(cause=cause, refused=count, of=n, share=count / n, said=_said(window, cause)),
                _wanted(cause),
            )
            for cause, count in named
            if count / n >= self.min_share
        ]


def _wanted(cause: Cause) -> Wanted:
    def wanted(row: OutcomeRow, index: int, outcome: Outcome) -> bool:
        return cause_of(row, index, outcome) == cause

    return wanted


def _said(window: Sequence[Evaluation], cause: Cause) -> str:
    """What the server said first about a cause."""
    return next((row.said for e in window for row in e.rows if cause in row.causes and row.said), "")


DETECTOR = Refused()
