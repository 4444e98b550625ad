"""Betting on a share, such as the restraint rate, against that of another spec."""

from __future__ import annotations

from collections.abc import Sequence

from .betting import PROMPT_BETS, Bets, EProcess, Pairs


def non_inferiority(blocks: Sequence[Pairs], margin: float, bets: Bets = PROMPT_BETS) -> float:
    """log E against "worse by at least the margin": the e-process with D + margin in place of D. Compare with log(1/alpha).

    E = sum_l pi_l prod(1 + l w (D + margin)). Domain: blocks of paired differences as `selfopt.stats.betting` describes them, complete,
    margin in (0, 1); ValueError otherwise. Valid at every block end, however often one looks. No block: 0, which shows nothing. Not
    worse than 3 points is margin 0.03. Source: Waudby-Smith & Ramdas (2024), JRSS B 86.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin}: need a number strictly between 0 and 1, such as 0.03")
    return EProcess.of(blocks, bets, -margin).log_e
