"""Evidence from the reload experiment: runs after a forced unload against warm runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .row_models import log_marginal, log_sum_exp

CONFIRMING_BAYES_FACTOR = 10.0
CONFIRMING_RUNS = 4
_EXACT_RANKS = 60


def reload_log_bayes_factor(cold_passes: int, cold_n: int, warm_passes: int, warm_n: int) -> float:
    """The natural log of the Bayes factor of "cold start" against "flaky" for one prompt.

    Cold start means Beta(1, 9) for the cold runs and Beta(20, 1) for the warm ones; flaky means one
    Beta(1.3, 1.3) for both. At 4 + 4 runs, a factor of at least 10 (`CONFIRMING_BAYES_FACTOR`)
    confirms 92 % of real cold starts, and 2.4 % of prompts that pass 70 % of the time (see
    `perf/patterns.py`). Without runs it is 0. Valid for one look at a fixed number of runs.
    ValueError when a count is out of range.

    Source: Bayes factors of beta-binomial marginals (Kass & Raftery, 1995, JASA 90).
    """
    for passes, n in ((cold_passes, cold_n), (warm_passes, warm_n)):
        if not 0 <= passes <= n:
            raise ValueError(f"{passes} passes of {n}: need 0 <= passes <= n")
    passes, n = cold_passes + warm_passes, cold_n + warm_n
    cold = log_marginal(cold_passes, cold_n - cold_passes, 1.0, 9.0)
    warm = log_marginal(warm_passes, warm_n - warm_passes, 20.0, 1.0)
    return cold + warm - log_marginal(passes, n - passes, 1.3, 1.3)


def suite_log_bayes_factor(log_factors: Sequence[float]) -> float:
    """The log Bayes factor of "some prompts are hit by cold starts" against "none is".

    Nobody knows how many are hit. Half of the prior weight is on "each prompt with chance s" (s =
    1, 1/2, 1/4, ... down to one prompt). The other half is on "the first j calls after the unload"
    (j = 1, 2, 4, ... up to all), because a load hits calls in the order of the clock. For one
    prompt the result is its own factor.

    More prompts do not make a false confirmation likelier. For pass rates from Beta(1.3, 1.3) the
    chance of a factor of 10 is at most 1/10 whatever their number (Markov's inequality), and under
    1 % in simulation. In the worst case, 200 prompts that all pass exactly half of the time, it is
    about 5 %. Valid for one look at a fixed number of runs.

    Source: a mixture over the share of signals, which adjusts for their number (Scott & Berger,
    2010).

    Args:
        log_factors: of the prompts, in the order in which they were asked.

    Raises:
        ValueError: there are no factors, or one is not finite.
    """
    if not log_factors:
        raise ValueError("no prompts: an experiment needs at least one")
    if not all(map(math.isfinite, log_factors)):
        raise ValueError("a Bayes factor is missing (NaN or infinite): leave out prompts that have none")
    m = len(log_factors)
    sizes = sorted({*(1 << bit for bit in range(m.bit_length())), m})
    spread = [math.fsum(_mixed(factor, size / m) for factor in log_factors) for size in sizes]
    first = [math.fsum(log_factors[:size]) for size in sizes]
    return log_sum_exp([*spread, *first]) - math.log(2 * len(sizes))


def _mixed(log_factor: float, share: float) -> float:
    """log(1 - share + share e^factor)."""
    return log_factor if share >= 1 else log_sum_exp((math.log1p(-share), math.log(share) + log_factor))


def rank_p(higher: Sequence[float], lower: Sequence[float]) -> float:
    """The one-sided p-value of "the first sample is no higher than the second", by ranks.

    Up to 60 values together it is exact over all ways to share out the ranks (4 against 4, fully
    apart: 1/70); beyond that it is the normal approximation. It is 1.0 when a sample is empty.
    Valid for one look at fixed numbers. ValueError for a value that is not finite.

    Source: Wilcoxon (1945), Mann & Whitney (1947).
    """
    values = [*higher, *lower]
    if not all(math.isfinite(v) for v in values):
        raise ValueError("a latency that is not finite: leave out runs without one")
    if not higher or not lower:
        return 1.0
    # Twice the mean rank of a value is a whole number even when values are tied.
    ranks = [sum(v < one for v in values) * 2 + sum(v == one for v in values) + 1 for one in values]
    observed, taken = sum(ranks[: len(higher)]), len(higher)
    if len(values) > _EXACT_RANKS:
        return _normal_rank_p(ranks, observed, taken)
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(taken))]
    for rank in ranks:
        for size in range(taken, 0, -1):
            for total, count in ways[size - 1].items():
                ways[size][total + rank] = ways[size].get(total + rank, 0) + count
    at_least = sum(count for total, count in ways[taken].items() if total >= observed)
    return at_least / math.comb(len(values), taken)


def _normal_rank_p(ranks: Sequence[int], observed: int, taken: int) -> float:
    n = len(ranks)
    mean = sum(ranks) / n
    spread = math.fsum((rank - mean) ** 2 for rank in ranks) / n
    deviation = math.sqrt(taken * (n - taken) / (n - 1) * spread)
    return 1.0 if deviation == 0 else 0.5 * math.erfc((observed - taken * mean) / deviation / math.sqrt(2))
