"""Drift: a spec got worse in its later runs, in the same environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from selfopt.feedback.comparable import comparable, make_finding
from selfopt.feedback.rows import class_figures
from selfopt.records import DriftFigures, Evaluation, Finding, Outcome, OutcomeRow, PolicyThresholds
from selfopt.stats import MIN_PATTERN_RUNS, PassRow, RowPattern, classify_rows, exchangeability_p


@dataclass(frozen=True, slots=True)
class Drift:
    """Finds a fall in accuracy.

    Attributes:
        min_drop: the smallest fall in accuracy that makes a finding.
        significance: of the test over prompts.
    """

    min_drop: float = 0.05
    significance: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """At most one finding.

        A deterministic spec has drifted if its newest evaluation is worse than the one before,
        because its repeats should be copies. For other specs, the runs of all evaluations are put
        in order, and a test over prompts must show that failures gather in the late runs. The test
        assumes nothing about pass rates and needs 5 runs. Prompts with faults of infrastructure are
        left out. The figures say which prompts the classifier calls drifting.
        """
        window = comparable(evaluations)
        copies = len(window) > 1 and all(e.has_copies for e in window[-2:])
        found = self._copies_differ(window) if copies else self._late_failures(window)
        return () if found is None else [found]

    def _copies_differ(self, window: Sequence[Evaluation]) -> Finding | None:
        before, after = window[-2].metrics.accuracy, window[-1].metrics.accuracy
        if before - after < self.min_drop:
            return None
        passed = {row.prompt_id for row in window[-2].rows if set(row.outcomes) == {Outcome.PASS}}
        newest = {id(row) for row in window[-1].rows}

        def failed(row: OutcomeRow, _index: int, outcome: Outcome) -> bool:
            return id(row) in newest and row.prompt_id in passed and outcome is not Outcome.PASS

        return make_finding(window, DriftFigures(before=before, after=after, drop=before - after), failed, "high")

    def _late_failures(self, window: Sequence[Evaluation]) -> Finding | None:
        rows: dict[str, list[Outcome]] = {}
        for evaluation in window:
            for row in evaluation.rows:
                rows.setdefault(row.prompt_id, []).extend(row.outcomes)
        usable = {
            prompt_id: [o is Outcome.PASS for o in outcomes]
            for prompt_id, outcomes in rows.items()
            if not {Outcome.ERROR, Outcome.TIMEOUT, Outcome.LOADING}.intersection(outcomes)
        }
        runs = min((len(row) for row in usable.values()), default=0)
        if runs < MIN_PATTERN_RUNS:
            return None
        found = classify_rows([PassRow(tuple(row)) for row in usable.values()])
        counted_p = exchangeability_p(list(usable.values()), sorted({1, 2, runs // 4, runs // 2}), late=True)
        # Two tests of the same rows: the count shows many prompts that get worse, the order a few that break off.
        p_value = min(1.0, 2 * min(counted_p, found.drift_p))
        half = runs // 2
        before = fmean([p for row in usable.values() for p in row[:half]])
        after = fmean([p for row in usable.values() for p in row[-half:]])
        if p_value >= self.significance or before - after < self.min_drop:
            return None
        figures = DriftFigures(
            before=before,
            after=after,
            drop=before - after,
            p_value=p_value,
            runs=runs,
            **class_figures(found, RowPattern.DRIFT),
        )

        def failed(row: OutcomeRow, _index: int, outcome: Outcome) -> bool:
            return row.prompt_id in usable and outcome is not Outcome.PASS

        return make_finding(window, figures, failed, "high" if p_value < self.significance / 10 else "medium")


DETECTOR = Drift()
