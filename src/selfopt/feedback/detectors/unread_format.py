"""Unread format: the model calls tools in a format that no parser of the variant reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.comparable import cells, comparable, make_finding
from selfopt.records import UNKNOWN_FORMAT, Evaluation, Finding, Outcome, PolicyThresholds, UnreadFormatFigures


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """Finds parsers that do not fit the model. min_share: the smallest share that counts."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding with the share and, if the verdicts say so, the most frequent format."""
        window = comparable(evaluations)
        trials = list(cells(window))
        formats: Counter[str] = Counter()
        for row, index, outcome in trials:
            if outcome is Outcome.UNPARSED:
                formats[(row.unread[index] if index < len(row.unread) else None) or UNKNOWN_FORMAT] += 1
        unparsed = formats.total()
        if unparsed == 0 or unparsed / len(trials) < self.min_share:
            return ()
        main = next((name for name, _ in formats.most_common() if name != UNKNOWN_FORMAT), UNKNOWN_FORMAT)
        figures = UnreadFormatFigures(unparsed=unparsed, of=len(trials), share=unparsed / len(trials), format=main)
        return [make_finding(window, figures, lambda _row, _index, outcome: outcome is Outcome.UNPARSED)]


DETECTOR = UnreadFormat()
