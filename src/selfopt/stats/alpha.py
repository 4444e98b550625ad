"""Shares a chance of error out over cycles, each of which may promote something.

Both schedules spend on cycles in order, t = 1, 2, ... Within a cycle, each of K candidates is
tested at alpha_t / K (Bonferroni, so the candidates may depend on each other in any way). Looking
early is allowed wherever the tests at these levels allow it.
"""

from __future__ import annotations

import math
from typing import Literal

AlphaSchedule = Literal["fwer", "elond"]


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless alpha is in (0, 0.5].

    A larger one would promote on less evidence than a coin gives.
    """
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha {alpha}: need a number above 0 and at most 0.5, such as 0.05")


def share_of_cycle(t: int, horizon: int | None = None) -> float:
    """The share of alpha for cycle t = 1, 2, ...

    With a horizon (the number of cycles) it is 1/horizon, and 0 beyond it. Without one it is
    1/(t (t + 1)). Either way the shares of all cycles sum to at most 1; without a horizon, those of
    t cycles sum to 1 - 1/(t + 1).

    Raises:
        ValueError: t or horizon is below 1.
    """
    if t < 1 or (horizon is not None and horizon < 1):
        raise ValueError(f"cycle {t} of {horizon if horizon is not None else 'any number'}: cycles and horizon count from 1")
    if horizon is not None:
        return 1 / horizon if t <= horizon else 0.0
    return 1 / (t * (t + 1))


def fwer_level(alpha: float, t: int, horizon: int | None = None) -> float:
    """The level of cycle t: alpha times its share.

    The chance that *anything* is ever promoted falsely is at most alpha (union bound). This is the
    default, because "5 %" then means what it says. ValueError for alpha outside (0, 0.5].
    """
    check_alpha(alpha)
    return alpha * share_of_cycle(t, horizon)


def elond_level(alpha: float, t: int, promotions: int, horizon: int | None = None) -> float:
    """The level of cycle t by e-LOND: alpha (promotions + 1) times its share, at most 0.5.

    It bounds the expected *share* of false ones among all promotions by alpha, at any cycle and
    under any dependence, when every test compares an e-value with 1/alpha_t. That is a weaker
    promise than `fwer_level` makes, with more power over many cycles.

    It also holds for K candidates at level alpha_t / K with at most one promotion a cycle. A false
    promotion of k has E_k alpha_t / K >= 1, so the expected share is at most the sum over cycles of
    alpha * share * (mean E of those not better) <= alpha.

    Source: Xu & Ramdas (2024), AISTATS, "Online multiple testing with e-values".

    Args:
        promotions: how many there were before the cycle. A held candidate keeps the smaller level
            of its own cycle.

    Raises:
        ValueError: as for `fwer_level`, and for a negative count.
    """
    check_alpha(alpha)
    if promotions < 0:
        raise ValueError(f"{promotions} promotions so far: need 0 or more")
    return min(0.5, alpha * (promotions + 1) * share_of_cycle(t, horizon))


_PASSED, _OTHER = 0.25, 1.0


def history_share(looks: int, passed: int) -> float:
    """The share that one history of verdicts has of what a look may spend, in (0, 1].

    A look at prompts that were looked at before is at a candidate that earlier verdicts helped to
    choose, so its outcomes are no fresh sample. Fix everything but these prompts. Then the verdicts
    so far name the candidate, and each history v has a candidate of its own, tested at the level
    alpha_h Q(v). If Q(v) is a probability of histories, sum_v Q(v) <= 1 over those that exclude
    each other, so the chance that look h is wrong after *any* history is at most alpha_h.

    Q is Polya's urn: each look is expected to pass with the chance (passes + 1/4) / (looks + 5/4).
    Without a pass it stays near 1, since "not passed" leaves one way to go on: 0.80, 0.71, 0.66
    after 1, 2, 3 looks. It depends on the counts alone.

    Args:
        looks: earlier looks at these prompts.
        passed: how many of them passed.

    Raises:
        ValueError: passed is not within 0 and looks.
    """
    if not 0 <= passed <= looks:
        raise ValueError(f"{passed} of {looks} looks passed: need a count from 0 to the number of looks")
    log = math.lgamma(_PASSED + passed) + math.lgamma(_OTHER + looks - passed) - math.lgamma(_PASSED + _OTHER + looks)
    return math.exp(log + math.lgamma(_PASSED + _OTHER) - math.lgamma(_PASSED) - math.lgamma(_OTHER))
