"""Flaky: a prompt passes in some runs and fails in others, without a known cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.feedback.comparable import comparable, make_finding, passes
from selfopt.feedback.rows import class_figures, read_window
from selfopt.records import Evaluation, Finding, FlakyFigures, Outcome, PolicyThresholds
from selfopt.stats import RowPattern, read_row

_NOT_FLAKY = frozenset({RowPattern.TOO_SHORT, RowPattern.STABLE, RowPattern.INCAPABLE})


@dataclass(frozen=True, slots=True)
class Flaky:
    """Finds flaky prompts. min_prompts: how many make a finding."""

    min_prompts: int = 1

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding about all prompts with 3 runs or more that both pass and fail.

        Faults of infrastructure or harness alone do not make a prompt flaky, and failures that a
        load explains count as passes. A row that looks like a cold start or a drift, but lacks the
        evidence, is flaky. The figures say how many of the rows the classifier is sure about.
        """
        window = comparable(evaluations)
        read = read_window(window)
        letters: dict[str, str] = {}
        prompts: set[str] = set()
        for evaluation in window:
            for row in evaluation.rows:
                prompts.add(row.prompt_id)
                cold = read.cold_runs(row)
                warm = [passed or index in cold for index, passed in enumerate(passes(row))]
                of_the_model = any(o is not Outcome.PASS and o.says_something_about_the_model for o in row.outcomes)
                if read_row(warm) not in _NOT_FLAKY and of_the_model and id(row) not in read.drifting:
                    letters[row.prompt_id] = row.letters
        if len(letters) < max(1, self.min_prompts):
            return ()
        figures = FlakyFigures(
            prompts=len(letters),
            of=len(prompts),
            variance=window[-1].metrics.variance,
            example=next(iter(letters.values())),
            **class_figures(read.classification, RowPattern.FLAKY),
        )
        return [make_finding(window, figures, lambda row, _, outcome: row.prompt_id in letters and outcome is not Outcome.PASS)]


DETECTOR = Flaky()
