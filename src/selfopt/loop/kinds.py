"""Which candidates are known exactly, which have to race, and which no race can judge."""

from __future__ import annotations

from typing import Literal

from selfopt.records import Evaluation, Spec

from .context import LoopContext

Kind = Literal["fixed", "once", "race"]
"""`fixed`: a fixed number of runs and the plain gates; `once`: one pass, which is all there is to know if repeats are copies; `race`: no
pass of its own, a race asks for what it needs."""

_ROUNDING = 1e-9


def draws_at_random(spec: Spec) -> bool:
    """Whether its sampling is different each time it is asked."""
    sampling = spec.variant.sampling
    return sampling.temperature > 0 and sampling.seed is None


def is_at_ceiling(baseline: Evaluation) -> bool:
    """Whether the baseline passes everything, so that nothing can be better."""
    return baseline.metrics.accuracy >= 1 - _ROUNDING


def kind_of(context: LoopContext, baseline: Spec, measured: Evaluation, candidate: Spec) -> Kind:
    """How a candidate is measured. measured: the baseline's evaluation.

    A candidate that differs in the warm-up alone makes the same requests of the same model: a race, which warms everybody up, cannot
    see what it is worth. Where the baseline was found stochastic although its sampling draws nothing, so is the candidate, presumably:
    a race is valid for it either way. At a ceiling there is nothing to win, and one pass tells enough.
    """
    if not context.settings.policy.evidence or _differs_in_warm_up_alone(baseline, candidate):
        return "fixed"
    if is_at_ceiling(measured):
        return "once"
    if draws_at_random(candidate):
        return "race"
    return "once" if measured.has_copies or draws_at_random(baseline) else "race"


def _differs_in_warm_up_alone(baseline: Spec, candidate: Spec) -> bool:
    return baseline.model_copy(update={"warm_up": candidate.warm_up}).spec_id == candidate.spec_id
