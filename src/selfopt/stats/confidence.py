"""Confidence sequences: intervals that hold at all times at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .betting import Bets, EProcess, Pairs
from .intervals import Interval

_STEPS = 18  # of a width of 2: to 0.00001


def confidence_sequence(blocks: Sequence[Pairs], bets: Bets, side_alpha: float) -> Interval:
    """The means that the bets have not refuted after these blocks: low is the largest mu with E(mean <= mu) >= 1/side_alpha, high
    the smallest with E(mean >= mu) >= 1/side_alpha.

    P(delta is ever below low) <= side_alpha and P(ever above high) <= side_alpha, at all block ends at once: looking is allowed
    whenever one likes. The evidence against "delta <= 0" reaches 1/side_alpha exactly when low reaches 0. The wealth falls
    (rises) in mu, see `log_growths`, so what is not refuted is an interval, found by bisection. Domain: within [-1, 1], which is
    also the answer without any block. ValueError for side_alpha outside (0, 0.5].
    Source: Waudby-Smith & Ramdas (2024), JRSS B 86, section 4.
    """
    if not 0 < side_alpha <= 0.5:
        raise ValueError(f"alpha {side_alpha}: need a number in (0, 0.5]")
    wanted = math.log(1 / side_alpha)
    return Interval(_bound(blocks, bets, wanted, below=False), _bound(blocks, bets, wanted, below=True))


def _bound(blocks: Sequence[Pairs], bets: Bets, wanted: float, *, below: bool) -> float:
    """The border of what is refuted, seen from the end of [-1, 1] that is refuted first, on its refuted side."""
    refuted, open_ = (1.0, -1.0) if below else (-1.0, 1.0)
    if not blocks or EProcess.of(blocks, bets, refuted, below=below).log_e < wanted:
        return refuted
    for _ in range(_STEPS):
        middle = (refuted + open_) / 2
        if EProcess.of(blocks, bets, middle, below=below).log_e >= wanted:
            refuted = middle
        else:
            open_ = middle
    return refuted
