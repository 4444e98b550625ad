"""How much longer, how many pairs: forecasts for people. Nothing is decided by them, so looking at them changes no error rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from .alpha import check_alpha

__all__ = ["PairsPlan", "pairs_to_decide", "plan_pairs"]

_LARGEST_BET = 0.95
# What a mixture of five or six bets loses against the best of them (log of about a third).
_MIXTURE_COST = 1.0
_BISECTIONS = 40


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


@dataclass(frozen=True, slots=True)
class PairsPlan:
    """pairs: for the candidate that has the gain; a candidate without any takes about `pairs_without` to be dropped."""

    pairs: int
    pairs_without: int


def plan_pairs(
    *, gain: float, variance: float, power: float, alpha: float, candidates: int, smallest_gain: float, beta: float
) -> PairsPlan:
    """About how many pairs a race needs to promote a candidate of this gain with this power, and to drop one without a gain.

    log E is about a Brownian motion with drift r = gain^2 / (2 variance) and variance 2 r a pair, which has reached a border L by
    pair n with probability Phi((n r - L) / sqrt(2 n r)) + e^L Phi(-(n r + L) / sqrt(2 n r)) (inverse Gaussian; Wald 1947), with
    L = log(K/alpha) + 1, the 1 for the mixture; to drop, on average, n r' = log(1/beta) + 1 with the smallest gain. Simulated races
    need 5 % more to 20 % fewer.
    Domain: gain in (0, 1], variance of one paired difference (the centred D) in (0, 1], power and beta in (0, 1), alpha in (0, 0.5],
    candidates K >= 1, smallest gain in (0, 1]; ValueError otherwise.
    """
    check_alpha(alpha)
    for name, value in (("gain", gain), ("variance", variance), ("smallest gain", smallest_gain)):
        if not 0 < value <= 1:
            raise ValueError(f"{name} {value}: need a number above 0 and at most 1")
    for name, value in (("power", power), ("beta", beta)):
        if not 0 < value < 1:
            raise ValueError(f"{name} {value}: need a number strictly between 0 and 1")
    if candidates < 1:
        raise ValueError(f"{candidates} candidates: need at least 1")
    with_gain = _growth_needed(math.log(candidates / alpha) + _MIXTURE_COST, power) / _rate(gain, variance)
    without = (math.log(1 / beta) + _MIXTURE_COST) / _rate(smallest_gain, variance)
    return PairsPlan(math.ceil(with_gain), math.ceil(without))


def _growth_needed(border: float, power: float) -> float:
    """The n r by which the border is reached with this probability, by bisection."""
    phi = NormalDist().cdf

    def reached(growth: float) -> float:
        spread = math.sqrt(2 * growth)
        return phi((growth - border) / spread) + math.exp(border) * phi(-(growth + border) / spread)

    low, high = 0.0, border
    while reached(high) < power:
        low, high = high, 2 * high
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < power else (low, middle)
    return high
