"""The reasons that a decision can carry, and what would change it, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REASONS: Mapping[str, str] = MappingProxyType(
    {
        # Promote.
        "improved": "every gate passed and the accuracy rose by at least the margin",
        "first_baseline": "every gate passed and there was no baseline yet",
        # Hold, because there is too little or nothing to compare.
        "no_data": "no trial was judged",
        "mostly_errors": "half of the trials or more never reached the model, so nothing was measured about it",
        "not_enough_runs": "too few runs, and the spec is not known to be deterministic",
        "baseline_not_enough_runs": "the baseline has too few runs, and it is not known to be deterministic",
        "not_comparable": "candidate and baseline were not measured alike",
        # Hold, because it is not better.
        "ceiling": "the baseline passes everything, so nothing can be better",
        "below_margin": "the gain is smaller than the margin, and ties keep the baseline",
        "not_enough_evidence": "the evidence that it is better does not suffice yet",
        "not_shown_on_heldout": "on held-out prompts the evidence does not suffice",
        "not_tried_on_heldout": "it was not tried on held-out prompts in this cycle",
        "no_alpha_left": "the chance of error that all decisions on this suite share is used up",
        "high_variance": "the accuracy differs too much from run to run",
        # Reject.
        "futile": "the evidence says that it is not better by as much as is worth finding",
        "behind": "it lies clearly behind another candidate",
        "worse_on_heldout": "on held-out prompts it is worse than the baseline",
        "restraint_worse": "the evidence says that it calls more often where nothing should be called than the baseline does",
        "regression": "the accuracy is below the baseline's, in the median run or in the mean",
        "low_restraint": "tools are called too often where nothing should be called",
        "extended_minimum": "too weak for the extended phase",
        "not_above_silent": "not better than a policy that never calls a tool",
        "not_above_always_calling": "not better than a policy that always calls the first tool",
    }
)

REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "no_data": "a measurement: selfopt supervise MODEL PHASE VARIANT",
        "mostly_errors": "a server that answers: see the errors with selfopt show, then measure again",
        "not_enough_runs": "more runs of the candidate, or a finding that its repeats are copies",
        "baseline_not_enough_runs": "more runs of the baseline, or a finding that its repeats are copies",
        "not_comparable": "both measured on the same suite, split, scorer and server: measure the one that is older again",
        "ceiling": "harder prompts: on these nothing can be better than the baseline",
        "below_margin": "a larger gain, or a smaller policy.promote_margin",
        "not_enough_evidence": "more trials of both: what was gathered is kept and the next cycle goes on from it",
        "not_shown_on_heldout": "a larger gain on prompts that nothing was tuned on, or more held-out prompts",
        "not_tried_on_heldout": "a look at the held-out prompts, in a cycle in which it is the best candidate and alpha is left",
        "no_alpha_left": "a suite with fresh prompts: its looks have an alpha of their own",
        "high_variance": "steadier replies (a lower temperature, a fixed seed)",
        "futile": "another candidate: against this baseline it is not tried again; a changed model, suite or scorer starts anew",
        "behind": "a cycle without the candidate that was ahead of it",
        "worse_on_heldout": "another candidate: what it gains on the search split does not carry over",
        "restraint_worse": "a candidate that keeps quiet where nothing should be called, such as one with a restraint sentence",
        "regression": "an accuracy above the baseline's",
        "low_restraint": "fewer calls where nothing should be called, or a lower policy.restraint_min",
        "extended_minimum": "a stronger model for the extended phase, or a lower policy.extended_phase_min_accuracy",
        "not_above_silent": "more right calls than a model that never calls gets by keeping quiet",
        "not_above_always_calling": "more right answers than calling the first tool each time gets",
    }
)
"""What would change a verdict that rests on a reason code, in plain words."""
