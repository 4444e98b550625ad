"""Capability limit: the replies are whole and readable, but too few are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.comparable import cells, comparable, counted, is_exact, make_finding, only_thought
from selfopt.feedback.rows import WindowRows, read_window
from selfopt.records import CapabilityLimitFigures, Evaluation, Finding, Outcome, OutcomeRow, PolicyThresholds
from selfopt.stats import clopper_pearson_upper


@dataclass(frozen=True, slots=True)
class CapabilityLimit:
    """Finds models that are too weak for their phase.

    Attributes:
        max_fault_share: above this share of faults (unparsed, truncated, timeout, loading, error)
            nothing is said about the model, because the harness is the likelier cause.
        confidence: of the upper bound.
    """

    max_fault_share: float = 0.05
    confidence: float = 0.95

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding if the upper bound of accuracy or call accuracy is below the phase's minimum.

        If the metrics are exact, the share itself is the bound. The bound counts every fault, every
        failure of a cold start and every call that stands in the thinking alone as a pass, because
        the model is not to blame. If most misses are such calls, nothing is said. The bound treats
        trials as independent, which is conservative for repeats on a fixed suite.
        """
        window = comparable(evaluations)
        if not window:
            return ()
        if is_exact(window[-1]):
            window = window[-1:]
        counts = counted(window)
        if not counts or _faults(counts) / counts.total() > self.max_fault_share:
            return ()
        if 2 * sum(only_thought(*cell) for cell in cells(window)) > counts[Outcome.MISSED]:
            return ()
        figures = self._figures(window, counts, thresholds.minimum_of(window[-1].phase))
        return () if figures is None else [make_finding(window, figures, lambda _r, _i, outcome: outcome is not Outcome.PASS)]

    def _figures(self, window: Sequence[Evaluation], counts: Counter[Outcome], minimum: float) -> CapabilityLimitFigures | None:
        newest = window[-1]
        read, n = read_window(window), counts.total()
        every = list(cells(window))
        calling = [cell for cell in every if cell[0].needs_call]
        accuracy, upper = self._share(every, read, exact=is_exact(newest))
        call_accuracy, call_upper = self._share(calling, read, exact=is_exact(newest))
        if accuracy is None or min(upper, call_upper) >= minimum:
            return None
        return CapabilityLimitFigures(
            accuracy=accuracy,
            upper_bound=min(upper, call_upper),
            confidence=1.0 if is_exact(newest) else self.confidence,
            minimum=minimum,
            n=n,
            faults=_faults(counts),
            cold_start_failures=sum(len(runs) for runs in read.called.values()),
            mute=1 if calling and all(cell[2] is Outcome.MISSED and not only_thought(*cell) for cell in calling) else 0,
            wrong_share=counts[Outcome.WRONG] / n,
            uncalled_for_share=counts[Outcome.UNCALLED_FOR] / n,
            missed_share=counts[Outcome.MISSED] / n,
            call_accuracy=call_accuracy,
        )

    def _share(
        self, trials: Sequence[tuple[OutcomeRow, int, Outcome]], read: WindowRows, *, exact: bool
    ) -> tuple[float | None, float]:
        """The share that passed (None without trials), and the largest plausible share."""
        n = len(trials)
        if n == 0:
            return None, 1.0
        passed = sum(outcome is Outcome.PASS for _, _, outcome in trials)
        excused = sum(
            not outcome.says_something_about_the_model
            or only_thought(row, index, outcome)
            or index in read.called.get(id(row), frozenset())
            for row, index, outcome in trials
        )
        possible = passed + excused
        return passed / n, possible / n if exact else clopper_pearson_upper(possible, n, self.confidence)


def _faults(counts: Counter[Outcome]) -> int:
    return sum(k for outcome, k in counts.items() if not outcome.says_something_about_the_model)


DETECTOR = CapabilityLimit()
