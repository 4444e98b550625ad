"""Betting on a share, such as the restraint rate: against a floor, and against that of another spec."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .alpha import check_alpha
from .betting import PROMPT_BETS, Bets, EProcess, Pairs

__all__ = ["FloorEvidence", "against_floor", "non_inferiority", "share_block"]


@dataclass(frozen=True, slots=True)
class FloorEvidence:
    """verdict: "above" or "below" the floor at the level asked for, or "open". log_above, log_below: natural logs of the evidence
    for each. share: the weighted share of n outcomes."""

    verdict: Literal["above", "below", "open"]
    share: float
    floor: float
    n: int
    log_above: float
    log_below: float


def share_block(outcomes: Sequence[float], weights: Sequence[float] = (), max_weight: float = 1.0) -> Pairs:
    """A block of outcomes in [0, 1] (the share of a prompt's answers that pass), as bets see it: none can fall below 0. weights: one
    each, or none (all 1). ValueError as of `Pairs`."""
    return Pairs(tuple(outcomes), tuple(weights) or (1.0,) * len(outcomes), max_weight, deepest=0.0, highest=1.0)


def against_floor(blocks: Sequence[Pairs], floor: float, alpha: float, bets: Bets = PROMPT_BETS) -> FloorEvidence:
    """Is a pooled share above or below its floor? E = sum_l pi_l prod(1 + l w (X - floor)), and its mirror image.

    Domain: blocks of `share_block`, complete, of the kinds that `selfopt.stats.betting` names, over the prompts that the share is
    about; floor in (0, 1). Each of the two verdicts is wrong with a chance of at most alpha, however often one looks at block
    ends. Source: Waudby-Smith & Ramdas (2024), JRSS B 86. ValueError for no outcomes, floor or alpha out of range.
    """
    check_alpha(alpha)
    if not 0 < floor < 1:
        raise ValueError(f"floor {floor}: need a share strictly between 0 and 1")
    if not blocks:
        raise ValueError("no outcomes: a share needs at least one")
    above = EProcess.of(blocks, bets, floor).log_e
    below = EProcess.of(blocks, bets, floor, below=True).log_e
    wanted = math.log(1 / alpha)
    verdict: Literal["above", "below", "open"] = "above" if above >= wanted else "below" if below >= wanted else "open"
    passed = math.fsum(w * x for pairs in blocks for x, w in zip(pairs.gains, pairs.weights, strict=True))
    total = math.fsum(w for pairs in blocks for w in pairs.weights)
    return FloorEvidence(verdict, passed / total, floor, sum(len(pairs.gains) for pairs in blocks), above, below)


def non_inferiority(blocks: Sequence[Pairs], margin: float, bets: Bets = PROMPT_BETS) -> float:
    """log E against "worse by at least the margin": the e-process with D + margin in place of D. Compare with log(1/alpha).

    E = sum_l pi_l prod(1 + l w (D + margin)). Domain: blocks of paired differences as `selfopt.stats.betting` describes them, complete,
    margin in (0, 1); ValueError otherwise. Valid at every block end, however often one looks. No block: 0, which shows nothing. Not
    worse than 3 points is margin 0.03. Source: Waudby-Smith & Ramdas (2024), JRSS B 86.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin}: need a number strictly between 0 and 1, such as 0.03")
    return EProcess.of(blocks, bets, -margin).log_e
