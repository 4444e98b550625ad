"""Bets on a number of prompts that was planned, sized so that the last one decides.

A mixture of bets is ready to stop at any time, and pays for that. Where the number of prompts n is
fixed, a gambler does better who wants to own exactly 1/alpha at the end. With the wealth W he is
worth W alpha of that aim. If the differences were normal with the standard deviation s, he would
own the option that pays 1/alpha with that chance, and hold it by betting

    l = phi(z) / (W alpha s sqrt(left)),   z = Phi^-1(W alpha),   left = prompts to come

of his wealth on the next prompt (the delta of a digital option). That is only how he chooses. What
holds does not rest on it: l is at least 0, at most 0.95 / (1 + mean), and chosen before the prompt
is seen, so each factor 1 + l (D - mean) is at least 0.05 and is expected to be at most 1 where the
mean difference of prompts like these is at most `mean`. So W is a nonnegative supermartingale that
starts at 1, and by Ville's inequality it ever reaches 1/alpha with probability at most alpha,
whatever the distribution of the differences.

With one outcome per prompt this has the power of McNemar's exact test within about two points, and
it also takes differences of shares, for which there is no exact test.

Sources: Ville (1939); Waudby-Smith & Ramdas (2024), JRSS B 86; for aiming at 1/alpha, Voracek & Orabona (2025),
arXiv:2505.22422.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from .alpha import check_alpha

_NORMAL = NormalDist()
_SAFE = 0.95
# What a squared difference is taken to be before any was seen, and how many prompts that guess weighs.
_SQUARE, _WEIGHT = 0.15, 8.0
_LEAST = 1e-12


def planned_log_e(differences: Sequence[float], *, planned: int, alpha: float, mean: float = 0.0) -> list[float]:
    """log E against "the mean difference on prompts like these is at most `mean`".

    Args:
        differences: of the prompts so far, each in [-1, 1], in an order that was drawn at random.
        planned: how many prompts there will be, fixed before the first outcome.
        alpha: E is compared with 1/alpha. Once it is there, no more is bet.
        mean: in (-1, 1).

    Returns:
        log E before the first prompt and after each one. One may look at all of them.

    Raises:
        ValueError: a figure is out of range, or there are more prompts than planned.
    """
    check_alpha(alpha)
    if not -1 < mean < 1:
        raise ValueError(f"mean {mean}: need a number strictly between -1 and 1")
    if len(differences) > planned:
        raise ValueError(f"got {len(differences)} outcomes, planned {planned}: the plan has to be made before the first one")
    logs, squares, weight = [0.0], _SQUARE * _WEIGHT, _WEIGHT
    for seen, difference in enumerate(differences):
        if not -1 <= difference <= 1:
            raise ValueError(f"a paired outcome of {difference!r}: need a number from -1 to 1")
        gain = difference - mean
        size = _size(logs[-1] + math.log(alpha), math.sqrt(squares / weight * (planned - seen)))
        logs.append(logs[-1] + math.log1p(min(size, _SAFE / (1 + mean)) * gain))
        squares, weight = squares + gain * gain, weight + 1
    return logs


def _size(log_worth: float, spread: float) -> float:
    """The share of the wealth to bet. log_worth: of W alpha. spread: of the sum of what is to come."""
    if log_worth >= 0:
        return 0.0
    worth = min(max(math.exp(log_worth), _LEAST), 1 - _LEAST)
    return _NORMAL.pdf(_NORMAL.inv_cdf(worth)) / (worth * spread)
