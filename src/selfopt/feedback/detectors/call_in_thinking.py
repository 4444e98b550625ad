"""Call in thinking: the model calls a tool in its thinking, and does not say so in its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.comparable import cells, comparable, make_finding, only_thought
from selfopt.records import CallInThinkingFigures, Evaluation, Finding, PolicyThresholds


@dataclass(frozen=True, slots=True)
class CallInThinking:
    """Finds answers that end with the thinking. min_share: the smallest share that counts."""

    min_share: float = 0.05

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding with the share among the trials that need a call."""
        window = comparable(evaluations)
        needed = [cell for cell in cells(window) if cell[0].needs_call]
        thought = sum(only_thought(*cell) for cell in needed)
        if thought == 0 or thought / len(needed) < self.min_share:
            return ()
        figures = CallInThinkingFigures(thought=thought, of=len(needed), share=thought / len(needed))
        return [make_finding(window, figures, only_thought)]


DETECTOR = CallInThinking()
