"""Infrastructure: trials end in an error or a timeout that neither a load nor the server explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.comparable import cause_of, comparable, make_finding
from selfopt.feedback.rows import read_window
from selfopt.records import Evaluation, Finding, InfrastructureFigures, Outcome, OutcomeRow, PolicyThresholds

_FAULTS = frozenset({Outcome.ERROR, Outcome.TIMEOUT})


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """Finds faults of server and network. min_share: the smallest share of trials that counts."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding that counts errors and timeouts separately.

        Those of a cold start, and those whose cause the server names, are left out.
        """
        window = comparable(evaluations)
        cold = read_window(window).waited
        n = sum(len(row.outcomes) for e in window for row in e.rows)

        def counts(row: OutcomeRow, index: int, outcome: Outcome) -> bool:
            unexplained = outcome in _FAULTS and cause_of(row, index, outcome) is None
            return unexplained and index not in cold.get(id(row), frozenset())

        seen = [o for e in window for row in e.rows for i, o in enumerate(row.outcomes) if counts(row, i, o)]
        if not seen or len(seen) / n < self.min_share:
            return ()
        errors, timeouts = seen.count(Outcome.ERROR), seen.count(Outcome.TIMEOUT)
        figures = InfrastructureFigures(errors=errors, timeouts=timeouts, of=n, share=len(seen) / n)
        return [make_finding(window, figures, counts)]


DETECTOR = Infrastructure()
