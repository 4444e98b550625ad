"""Flaky: the same prompt passes and fails from run to run, for no cause that is known."""

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
    """min_prompts: from this many flaky prompts on it is a finding."""

    min_prompts: int = 1

    def examine(self, evaluations: Sequence[Evaluation], thresholds: PolicyThresholds) -> Sequence[Finding]:
        """One finding over prompts with 3 runs or more that both pass and fail.

        Failures of infrastructure or harness alone do not make a prompt flaky, and failures that a load explains count as
        passes. Rows that look like a cold start or a drift without the evidence for it are flaky. The figures tell how many of
        these rows the classifier is sure of.
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
