"""Ceiling: everything passes, so the suite can no longer show an improvement."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.feedback.comparable import comparable, counted, make_finding
from selfopt.records import CeilingFigures, Evaluation, Finding, Outcome, PolicyThresholds


class Ceiling:
    """Finds suites that are too easy.

    Unless repeats are copies, it needs as many runs as a decision.
    """

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding if every trial of the newest evaluation passes."""
        window = comparable(evaluations)[-1:]
        counts = counted(window)
        n = counts.total()
        if n == 0 or counts[Outcome.PASS] != n:
            return ()
        newest = window[0]
        if not newest.has_copies and newest.n_runs < thresholds.min_runs:
            return ()
        return [make_finding(window, CeilingFigures(n=n, runs=newest.n_runs))]


DETECTOR = Ceiling()
