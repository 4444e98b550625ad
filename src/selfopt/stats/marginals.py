"""Marginal likelihoods of passes and failures under a pass rate that is drawn from a beta distribution."""

from __future__ import annotations

import math
from functools import cache


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@cache
def log_marginal(passes: int, failures: int, a: float, b: float) -> float:
    """Natural log of the probability of one order of these outcomes under a pass rate from Beta(a, b):
    B(a + passes, b + failures) / B(a, b).

    Domain: counts >= 0, a and b > 0. Source: the beta-binomial without its binomial factor (Gelman et al., Bayesian Data
    Analysis, 2.4). Not a statement about evidence by itself, so there is nothing to look at twice.
    """
    return _log_beta(a + passes, b + failures) - _log_beta(a, b)
