"""What tells that live requests are not like those any more on which a threshold was calibrated.

The gateway and the simulation use these same detectors, so that the figures of the one hold for the
other (docs/ESCALATION.md).
"""

from __future__ import annotations

from .changes import RiseDetector
from .intervals import clopper_pearson_upper

ESCALATIONS_BORDER = 100_000.0
"""Requests until a false alarm, on average and at least, where the share that escalates is at its limit."""
OUTCOMES_BORDER = 10_000.0
"""Told outcomes until one, where the bad share is at its limit. Few outcomes are told, so this is as rare."""
_USUAL_CONFIDENCE = 0.9
_LEAST, _MOST = 0.001, 0.999


def escalations_detector(n: int, served: int) -> RiseDetector:
    """Looks at which requests escalate because the answer is not sure enough.

    Their usual share is its exact upper 90 % limit in the calibration.

    Args:
        n: prompts of the calibration.
        served: those whose answer was sure enough.
    """
    escalated = min(n, max(0, n - served))
    share = clopper_pearson_upper(escalated, n, _USUAL_CONFIDENCE) if n > 0 else 1.0
    return RiseDetector(min(_MOST, max(_LEAST, share)), ESCALATIONS_BORDER)


def outcomes_detector(max_bad_share: float) -> RiseDetector:
    """Looks at which of the served answers are wrong. max_bad_share: what the bound allows, in [0, 1]."""
    return RiseDetector(min(_MOST, max(_LEAST, max_bad_share)), OUTCOMES_BORDER)
