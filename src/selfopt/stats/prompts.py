"""One paired outcome per prompt: what a suite says about other prompts like these, where repeats would be copies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from .alpha import check_alpha
from .beta import incomplete_beta
from .betting import PROMPT_BETS, Bets, EProcess, Pairs, confidence_sequence
from .clusters import Estimate, jackknife
from .intervals import Interval

FINAL_SHARE = 0.75
"""The part of the capital that waits for the planned last look."""


def mcnemar_p(wins: int, losses: int) -> float:
    """One-sided p-value of "the candidate wins no more prompts than it loses": P(X >= wins), X ~ Binomial(wins + losses, 1/2).

    Exact given the number of prompts on which the two differ; 1 where they differ on none. Domain: counts of at least 0, one
    pair a prompt. One look at a number of prompts that was fixed beforehand: no peeking, and no adding prompts after a look.
    Source: McNemar (1947), Psychometrika 12. ValueError for negative counts.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins} wins and {losses} losses: need counts of at least 0")
    # P(X >= w) = I_{1/2}(w, n - w + 1).
    return 1.0 if wins == 0 else incomplete_beta(wins, losses + 1, 0.5)


@dataclass(frozen=True)
class PromptDifferences:
    """D = X_candidate - X_baseline of each prompt, -1, 0 or 1, in an order that was drawn at random before anything was measured.

    clusters: what each prompt shares with others (its tool set); empty: every prompt stands for itself. ValueError for missing
    outcomes and values other than these.
    """

    differences: tuple[int, ...]
    clusters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.clusters and len(self.clusters) != len(self.differences):
            raise ValueError(f"{len(self.differences)} prompts with {len(self.clusters)} clusters: need one each, or none")
        for d in self.differences:
            if d not in (-1, 0, 1):
                raise ValueError(f"a paired outcome of {d!r}: need -1, 0 or 1, and no prompt without an outcome")

    @property
    def n(self) -> int:
        """Prompts."""
        return len(self.differences)

    @cached_property
    def wins(self) -> int:
        """Prompts that only the candidate passes."""
        return self.differences.count(1)

    @cached_property
    def losses(self) -> int:
        """Prompts that only the baseline passes."""
        return self.differences.count(-1)

    @property
    def gain(self) -> float:
        """(wins - losses) / n, in [-1, 1]; 0 without prompts."""
        return (self.wins - self.losses) / self.n if self.n else 0.0

    @property
    def mcnemar(self) -> float:
        """McNemar's exact one-sided p-value, for comparison: valid for one look at a number of prompts fixed beforehand."""
        return mcnemar_p(self.wins, self.losses)

    def interval(self, side_alpha: float, bets: Bets = PROMPT_BETS) -> Interval:
        """The betting confidence sequence of the mean gain over prompts like these (see `confidence_sequence`)."""
        return confidence_sequence([self._pairs()] if self.n else [], bets, side_alpha)

    def clustered(self, confidence: float = 0.95) -> Estimate | None:
        """Gain with its delete-one-cluster interval, shown beside: prompts of one tool set succeed and fail together, which the
        e-process over prompts does not see. One look. None without prompts."""
        sums: dict[str, list[float]] = {}
        for index, d in enumerate(self.differences):
            entry = sums.setdefault(self.clusters[index] if self.clusters else str(index), [0.0, 0.0])
            entry[0] += d
            entry[1] += 1
        return jackknife(list(sums.values()), lambda s: s[0] / s[1] if s[1] else None, confidence=confidence, share=False)

    def _pairs(self) -> Pairs:
        return Pairs(tuple(map(float, self.differences)), (1.0,) * self.n)


def prompt_evidence(
    pairs: PromptDifferences,
    *,
    mean: float = 0.0,
    below: bool = False,
    planned: int | None = None,
    alpha: float = 0.05,
    bets: Bets = PROMPT_BETS,
) -> float:
    """log E against "on prompts like these the mean gain is at most `mean`" (below: "at least"), after these prompts.

    E = sum_l pi_l prod_j (1 + l (D_j - mean)). Domain: prompts are a random sample of those the claim is about, each taken once;
    valid after every prompt (Waudby-Smith & Ramdas 2024). 15 wins to 5 on 60 prompts give E = 7, less than the 20 of alpha = 0.05.

    planned: the number of prompts, if it was fixed beforehand (for mean = 0 only). Then v = 3/4 of the capital lie on one
    bet, which pays 1/alpha if McNemar's exact test rejects at v alpha when exactly so many are in, and nothing else: under the
    hypothesis it is worth at most v alpha / alpha = v on average, so with the other quarter it makes an e-value, at every look
    (before the last one that part is counted as 0, less than it is worth). It brings most of the exact test's power without
    giving up earlier looks or more prompts later. ValueError for alpha outside (0, 0.5] or more prompts than planned.
    """
    check_alpha(alpha)
    process = EProcess(bets, mean, below)
    if pairs.n:
        process.absorb(pairs._pairs())
    if planned is None or below or mean != 0:
        return process.log_e
    if pairs.n > planned:
        raise ValueError(f"{pairs.n} prompts where {planned} were planned: the plan has to be made before the first outcome")
    rest = math.log(1 - FINAL_SHARE) + process.log_e
    if pairs.n < planned or pairs.mcnemar > FINAL_SHARE * alpha:
        return rest
    return rest + math.log1p(math.exp(-math.log(alpha) - rest))
