"""A model that may serve when it is sure: what its calibration shows, and what follows."""

from __future__ import annotations

from selfopt.records import Calibration, Finding, MixedCapabilityFigures, ServeWhen

from .comparable import make_finding
from .standing import FeedbackOptions, Standing


def calibration_of(standing: Standing, options: FeedbackOptions) -> tuple[Calibration, ServeWhen] | None:
    """The newest calibration of the spec that a model is judged by, in what serves now, and its
    threshold. None if it has none, or if fresh replies have broken it.
    """
    now = options.environments.get(standing.newest.environment_id)
    for one in reversed(options.calibrations.get(standing.newest.spec_id, ())):
        then = options.environments.get(one.environment_id)
        if then is None or now is None or then.compatible_with(now):
            holds = one.serve_when is not None and one.calibration_id not in options.banned_calibrations
            return (one, one.serve_when) if holds and one.serve_when is not None else None
    return None


def mixed_capability(standing: Standing, options: FeedbackOptions) -> list[Finding]:
    """One finding where a threshold keeps the share of wrong answers that is allowed, though the
    model as a whole does not.
    """
    known = calibration_of(standing, options)
    if known is None:
        return []
    calibration, when = known
    bound = when.bound
    if standing.shown.accuracy >= 1 - bound.max_bad_share:
        return []
    figures = MixedCapabilityFigures(
        calibration_id=calibration.calibration_id,
        n=bound.n,
        served=bound.served,
        bad=bound.bad,
        upper=bound.upper,
        confidence=bound.confidence,
        max_bad_share=bound.max_bad_share,
        tool_sets=bound.tool_sets,
        unserved=sum(served == 0 for served, _ in calibration.shares.values()),
    )
    return [make_finding(standing.evaluations, figures)]
