"""Unread format: the model calls tools, in a format that no parser of the variant reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.reading import Note, cells, comparable, make_finding
from selfopt.records import Evaluation, Finding, Outcome

__all__ = ["UnreadFormat"]


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """min_share: from this share of unparsed replies on it is a finding."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation]) -> Sequence[Finding]:
        """One finding with the share and, where the verdicts tell, the format seen most often."""
        window = comparable(evaluations)
        trials = list(cells(window))
        formats: Counter[str] = Counter()
        for row, index, outcome in trials:
            if outcome is Outcome.UNPARSED:
                formats[(row.unread[index] if index < len(row.unread) else None) or "unknown"] += 1
        unparsed = formats.total()
        if unparsed == 0 or unparsed / len(trials) < self.min_share:
            return ()
        named = [(name, k) for name, k in formats.most_common() if name != "unknown"]
        main = named[0][0] if named else "unknown"
        words = f"mostly {main}" if named else "format not recorded"
        note = Note(
            f"{unparsed} of {len(trials)} replies hold a tool call in a format that this variant does not read ({words})",
            {"unparsed": unparsed, "of": len(trials), "share": unparsed / len(trials), "format": main},
        )
        return [make_finding("unread_format", window, note.add(window, lambda _r, _i, o: o is Outcome.UNPARSED))]
