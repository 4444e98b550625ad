"""How much longer: a forecast for people. Nothing is decided by it, so looking at it changes no error rate."""

from __future__ import annotations

import math

_LARGEST_BET = 0.95


def _rate(drift: float, second_moment: float) -> float:
    """Growth of log wealth per pair at the best bet: max over l of l d - l^2 v / 2, so d^2 / 2v, with l at most 0.95."""
    if drift <= 0:
        return 0.0
    size = min(_LARGEST_BET, drift / max(second_moment, 1e-9))
    return size * drift - size * size * second_moment / 2


def pairs_to_decide(
    *, estimate: float, second_moment: float, smallest_gain: float, log_e_missing: float, log_f_missing: float
) -> float | None:
    """About how many more pairs decide, if things go on as they went: the smaller of missing evidence over its rate of growth,
    for promotion (drift: the estimate) and for dropping (drift: smallest gain minus the estimate).

    estimate: the mean gain so far; second_moment: the mean of its squared centred pairs; log_*_missing: natural logs that are
    still missing to each border. None where the estimate grows neither. ValueError for NaN. Source: the expansion of log(1 + l x)
    to second order (Kelly 1956).
    """
    if not all(map(math.isfinite, (estimate, second_moment, smallest_gain, log_e_missing, log_f_missing))):
        raise ValueError("a figure is missing (NaN or infinite): a forecast needs every one")
    rates = (
        (max(0.0, log_e_missing), _rate(estimate, second_moment)),
        (max(0.0, log_f_missing), _rate(smallest_gain - estimate, second_moment)),
    )
    found = [missing / rate for missing, rate in rates if rate > 0]
    return min(found) if found else None
