"""Which threshold may serve: a fixed sequence of tests, which errs with a chance of at most delta."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .beta import bisected, incomplete_beta
from .betting import Bets, Pairs, log_growths, log_mean_exp

_STEPS = 40
_MOST = 1e7
SET_BETS = Bets((0.25, 0.6, 1.9), (0.2, 0.3, 0.5))
"""Bets for one share per tool set. The largest one is capped, unless nine of ten may be wrong."""


def least_served(max_bad_share: float, delta: float) -> int:
    """How many answers have to be served, all of them right, to show anything at this level.

    ceil(ln(delta) / ln(1 - alpha)): 59 at 0.05 and 0.05. ValueError for figures outside (0, 1).
    """
    _check(max_bad_share, delta)
    return max(1, math.ceil(math.log(delta) / math.log1p(-max_bad_share) - 1e-9))


def bad_share_p(bad: int, served: int, max_bad_share: float) -> float:
    """P(X <= bad) for X ~ Binomial(served, alpha): the p-value of "more than alpha of them is wrong".

    It is at most delta exactly where the upper limit of Clopper & Pearson (1934) at 1 - delta is at
    most alpha. 1 where nothing is served. ValueError for counts or a share out of range.
    """
    if not 0 <= bad <= served or not 0 < max_bad_share < 1:
        raise ValueError(f"{bad} of {served} at {max_bad_share}: need 0 <= bad <= served, and a share between 0 and 1")
    return 1.0 if bad >= served else incomplete_beta(served - bad, bad + 1, 1 - max_bad_share)


def _check(max_bad_share: float, delta: float) -> None:
    if not 0 < max_bad_share < 1 or not 0 < delta < 1:
        raise ValueError(f"bad share {max_bad_share} at delta {delta}: need numbers between 0 and 1")


def lowest_shown(steps: int, start: int, delta: float, p_value: Callable[[int], float]) -> int | None:
    """The last of a fixed sequence of hypotheses that is rejected before the first failure.

    The hypotheses start .. steps - 1 are tested in order, each at delta. Testing stops at the first
    that is not rejected. None if that is the first of all.

    *The chance to reject any true hypothesis is at most delta*, whatever the p-values have to do
    with each other: to reject a true hypothesis, the first true one of the sequence has to be
    rejected. Which one that is does not depend on the data, and its p-value is at most delta with a
    chance of at most delta. This needs a sequence, and a start, that were fixed before the data.
    It does not need bad shares that rise from step to step.

    Sources: Maurer, Hothorn & Lehmacher (1995), Biometrie in der chem.-pharm. Industrie 6;
    for thresholds, Angelopoulos et al. (2021), arXiv:2110.01052.

    Args:
        p_value: of a hypothesis: P(p <= u) <= u for every u if it is true.
    """
    lowest = None
    for index in range(start, steps):
        if p_value(index) > delta:
            break
        lowest = index
    return lowest


def sets_log_e(shares: Sequence[tuple[float, float]], max_bad_share: float) -> float:
    """log E against "of what is served on tool sets like these, more than alpha is wrong".

    Each tool set s has a share of its prompts that is served, v_s, and a share that is served and
    wrong, b_s. Sets are drawn independently, and prompts within a set may depend on each other as
    they like. The claim E[b]/E[v] <= alpha is E[Z] <= 0 for Z = b - alpha v, which lies in [-alpha,
    1 - alpha]. E = sum_l pi_l prod_s (1 - l Z_s), l <= 0.95/(1 - alpha), is a bet on it. Where
    E[Z] > 0, each factor has an expectation below 1, so P(E >= 1/delta) <= delta (Markov). The order
    of sets changes nothing. E rises in alpha, since b <= v.

    A set counts as one however many prompts of it were asked: the share is that of a prompt of a
    set that is drawn at random.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86.

    Raises:
        ValueError: the share of bad answers is outside (0, 1), or that of a set outside [0, v].
    """
    return log_mean_exp(_set_growths(shares, max_bad_share), SET_BETS.prior)


def sets_factor(shares: Sequence[tuple[float, float]], max_bad_share: float, delta: float) -> float | None:
    """How many times as many sets like these it takes for E = 1/delta; None where no number will do."""
    growths, wanted = _set_growths(shares, max_bad_share), math.log(1 / delta)
    if max(growths) <= 0:
        return None
    enough = (wanted - math.log(min(SET_BETS.prior))) / max(growths)
    return bisected(enough, 0.0, lambda f: log_mean_exp([f * one for one in growths], SET_BETS.prior) >= wanted, _STEPS)[0]


def prompts_factor(bad: int, served: int, max_bad_share: float, delta: float) -> float | None:
    """How many times as many prompts like these it takes for p = delta; None where no number will do."""
    if bad >= max_bad_share * served:
        return None

    def shown(factor: float) -> bool:
        return incomplete_beta(factor * (served - bad), factor * bad + 1, 1 - max_bad_share) <= delta

    enough = 1.0
    while not shown(enough):
        enough *= 2
        if enough * served > _MOST:
            return None
    return bisected(enough, 0.0, shown, _STEPS)[0]


def _set_growths(shares: Sequence[tuple[float, float]], max_bad_share: float) -> list[float]:
    if not 0 < max_bad_share < 1 or not all(0 <= bad <= served <= 1 for served, bad in shares):
        raise ValueError(f"bad share {max_bad_share}: need one between 0 and 1, and no set with more bad than served")
    if not shares:
        return [0.0] * len(SET_BETS.prior)
    gains = tuple(bad - max_bad_share * served for served, bad in shares)
    pairs = Pairs(gains, (1.0,) * len(gains), deepest=max_bad_share, highest=1 - max_bad_share)
    return log_growths(pairs, SET_BETS, 0.0, below=True)
