"""How a chance of error is shared out over cycles, each of which may promote something.

Both schedules spend on cycles in order, t = 1, 2, ...; within a cycle each of K candidates is tested at alpha_t / K (Bonferroni: the
candidates may depend on each other in any way). Peeking is allowed wherever the tests at these levels allow it.
"""

from __future__ import annotations

from typing import Literal

AlphaSchedule = Literal["fwer", "elond"]


def check_alpha(alpha: float) -> None:
    """ValueError unless alpha is a number in (0, 0.5]: more would promote on less than a coin's evidence."""
    if not 0 < alpha <= 0.5:
        raise ValueError(f"alpha {alpha}: need a number above 0 and at most 0.5, such as 0.05")


def share_of_cycle(t: int, horizon: int | None = None) -> float:
    """The share of alpha for cycle t = 1, 2, ...: 1/horizon where the number of cycles is known, 0 beyond it; else 1/(t (t + 1)).

    Either way the shares of all cycles sum to at most 1 (a telescoping sum: 1 - 1/(t + 1) after t cycles). ValueError for t or
    horizon below 1.
    """
    if t < 1 or (horizon is not None and horizon < 1):
        raise ValueError(f"cycle {t} of {horizon if horizon is not None else 'any number'}: cycles and horizon count from 1")
    if horizon is not None:
        return 1 / horizon if t <= horizon else 0.0
    return 1 / (t * (t + 1))


def fwer_level(alpha: float, t: int, horizon: int | None = None) -> float:
    """alpha_t = alpha * share of cycle t. The chance that *anything* is ever promoted falsely is at most the sum, alpha (union
    bound). The default, because then "5 %" is what it says. ValueError for alpha outside (0, 0.5]."""
    check_alpha(alpha)
    return alpha * share_of_cycle(t, horizon)


def elond_level(alpha: float, t: int, promotions: int, horizon: int | None = None) -> float:
    """alpha_t = alpha (promotions so far + 1) * share of cycle t: e-LOND.

    Bounds the expected *share* of false ones among all promotions by alpha, at any cycle, under any dependence, when every test
    is an e-value compared with 1/alpha_t; more power over many cycles than `fwer_level`, weaker promise. Capped at 0.5.
    With K candidates at level alpha_t / K and at most one promotion a cycle it holds as well: a false promotion of k has
    E_k alpha_t / K >= 1, so the expected share is at most the sum over cycles of alpha * share * (mean E of
    those not better) <= alpha. `promotions` are those before the cycle; a held candidate keeps the smaller level of its own cycle.
    Source: Xu & Ramdas (2024), AISTATS, "Online multiple testing with e-values". ValueError as for `fwer_level`, and for a
    negative count.
    """
    check_alpha(alpha)
    if promotions < 0:
        raise ValueError(f"{promotions} promotions so far: need 0 or more")
    return min(0.5, alpha * (promotions + 1) * share_of_cycle(t, horizon))
