"""When it pays to ask a cheaper model first."""

from __future__ import annotations

import math


def break_even(small: float | None, large: float | None) -> float | None:
    """Returns the share of escalated requests at which a cascade costs what the larger model alone costs.

    Every request costs `small`, and a share e of them `large` besides. So the cascade is cheaper
    while small + e * large < large, which is e < 1 - small / large. Nothing is estimated here; both
    costs are means, so that the answer is as good as they are. Time is such a cost as well, since an
    escalated request takes that of both.

    Args:
        small: what a request to the smaller model costs, at least 0. None: not known.
        large: what one to the larger model costs, at least 0, in the same currency or unit of time.

    Returns:
        A share in [0, 1]. None where a cost is not known, or both are nothing. 0: it never pays, since the smaller model costs as much as the larger one.
        1: it pays whenever a request is served, since the smaller model costs nothing.

    Raises:
        ValueError: a cost is negative, infinite or no number.
    """
    if small is None or large is None:
        return None
    for cost in (small, large):
        if not (math.isfinite(cost) and cost >= 0):
            raise ValueError(f"a cost of {cost} is not a finite number of at least 0")
    if small == large == 0:
        return None
    return max(0.0, 1.0 - small / large) if large > small else 0.0


def cascade_cost(small: float, large: float, escalated: float) -> float:
    """Returns what a request to a cascade costs on average.

    Args:
        small, large: as in `break_even`.
        escalated: the share of requests that both models are asked, in [0, 1].

    Raises:
        ValueError: the share is outside of [0, 1].
    """
    if not 0 <= escalated <= 1:
        raise ValueError(f"a share of {escalated} is not in [0, 1]")
    return small + escalated * large
