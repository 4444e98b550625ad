"""Forecasts for people how much longer a race takes.

Nothing is decided by it, so it changes no error rate.
"""

from __future__ import annotations

import math

_LARGEST_BET = 0.95


def _rate(drift: float, second_moment: float) -> float:
    """The growth of log wealth per pair at the best bet: max over l <= 0.95 of l d - l^2 v / 2."""
    if drift <= 0:
        return 0.0
    size = min(_LARGEST_BET, drift / max(second_moment, 1e-9))
    return size * drift - size * size * second_moment / 2


def pairs_to_decide(
    *, estimate: float, second_moment: float, smallest_gain: float, log_e_missing: float, log_f_missing: float
) -> float | None:
    """About how many more pairs will decide, if things go on as they went.

    That is the missing evidence over its rate of growth, for promotion (drift: the estimate) or for
    dropping (drift: smallest gain minus the estimate), whichever comes first.

    Source: the expansion of log(1 + l x) to second order (Kelly 1956).

    Args:
        estimate: the mean gain so far.
        second_moment: the mean of the squared centred pairs.
        log_e_missing, log_f_missing: natural logs that are missing to each border.

    Returns:
        None when neither evidence grows.

    Raises:
        ValueError: a figure is NaN or infinite.
    """
    if not all(map(math.isfinite, (estimate, second_moment, smallest_gain, log_e_missing, log_f_missing))):
        raise ValueError("a figure is missing (NaN or infinite): a forecast needs every one")
    rates = (
        (max(0.0, log_e_missing), _rate(estimate, second_moment)),
        (max(0.0, log_f_missing), _rate(smallest_gain - estimate, second_moment)),
    )
    found = [missing / rate for missing, rate in rates if rate > 0]
    return min(found) if found else None
