"""The one table of reason codes that a decision can carry, in plain words."""

from __future__ import annotations

from types import MappingProxyType

__all__ = ["REASONS"]

REASONS = MappingProxyType(
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
