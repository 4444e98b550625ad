"""The reload experiment: runs right after a forced unload against warm runs, interleaved."""

from __future__ import annotations

import math

__all__ = ["CONFIRMING_BAYES_FACTOR", "reload_log_bayes_factor"]

CONFIRMING_BAYES_FACTOR = 10.0


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_marginal(passes: int, failures: int, a: float, b: float) -> float:
    """Log probability of one order of these outcomes under a pass rate drawn from Beta(a, b)."""
    return _log_beta(a + passes, b + failures) - _log_beta(a, b)


def reload_log_bayes_factor(cold_passes: int, cold_n: int, warm_passes: int, warm_n: int) -> float:
    """Natural log of the Bayes factor "cold start" against "flaky" for one prompt.

    Cold start: Beta(1, 9) for the cold runs, Beta(20, 1) for the warm ones; flaky: one Beta(1.3, 1.3) for both. At 4 + 4
    runs, a factor of at least 10 (`CONFIRMING_BAYES_FACTOR`) confirms 92 % of real cold starts and 2.4 % of prompts that
    pass 70 % of the time. One look at a fixed number of runs. No runs at all: 0. ValueError when a count is out of range.
    """
    for passes, n in ((cold_passes, cold_n), (warm_passes, warm_n)):
        if not 0 <= passes <= n:
            raise ValueError(f"{passes} passes of {n}: need 0 <= passes <= n")
    passes, n = cold_passes + warm_passes, cold_n + warm_n
    cold_start = _log_marginal(cold_passes, cold_n - cold_passes, 1, 9) + _log_marginal(warm_passes, warm_n - warm_passes, 20, 1)
    return cold_start - _log_marginal(passes, n - passes, 1.3, 1.3)
