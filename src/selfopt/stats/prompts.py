"""What one paired outcome per prompt says about other prompts like these."""

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
"""The share of the capital that waits for the planned last look."""


def mcnemar_p(wins: int, losses: int) -> float:
    """P(X >= wins) for X ~ Binomial(wins + losses, 1/2): McNemar's one-sided p-value.

    Exact given the number of prompts on which the two differ; 1 when they differ on none. Each
    prompt gives one pair. Valid for one look at a number of prompts that was fixed beforehand: no
    looking early, and no more prompts after a look. ValueError for negative counts.

    Source: McNemar (1947), Psychometrika 12.
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins} wins and {losses} losses: need counts of at least 0")
    # P(X >= w) = I_{1/2}(w, n - w + 1).
    return 1.0 if wins == 0 else incomplete_beta(wins, losses + 1, 0.5)


@dataclass(frozen=True)
class PromptDifferences:
    """The paired outcomes of two specs.

    Attributes:
        differences: X_candidate - X_baseline of each prompt, in an order that was drawn at random
            before anything was measured. It is -1, 0 or 1, or a number between where X is the share
            of several answers that pass.
        clusters: what each prompt shares with others (its tool set); empty: every prompt stands for
            itself.

    Raises:
        ValueError: an outcome is missing or has another value.
    """

    differences: tuple[float, ...]
    clusters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.clusters and len(self.clusters) != len(self.differences):
            raise ValueError(f"{len(self.differences)} prompts with {len(self.clusters)} clusters: need one each, or none")
        values: tuple[object, ...] = self.differences
        for d in values:
            if not (isinstance(d, int | float) and -1 <= d <= 1):
                raise ValueError(f"a paired outcome of {d!r}: need a number from -1 to 1, and no prompt without an outcome")

    @property
    def n(self) -> int:
        """How many prompts there are."""
        return len(self.differences)

    @cached_property
    def whole(self) -> bool:
        """Whether each side answered every prompt once, so that outcomes are -1, 0 or 1."""
        return all(d in (-1, 0, 1) for d in self.differences)

    @cached_property
    def wins(self) -> int:
        """How many prompts the candidate passes, or passes more often."""
        return sum(d > 0 for d in self.differences)

    @cached_property
    def losses(self) -> int:
        """How many prompts the baseline passes, or passes more often."""
        return sum(d < 0 for d in self.differences)

    @property
    def gain(self) -> float:
        """The mean difference, in [-1, 1]; 0 without prompts."""
        return math.fsum(self.differences) / self.n if self.n else 0.0

    @property
    def mcnemar(self) -> float:
        """McNemar's exact one-sided p-value, for comparison.

        Valid for one look at a number of prompts fixed beforehand. About the mean difference where
        each side answered once, else about which side passes a prompt more often.
        """
        return mcnemar_p(self.wins, self.losses)

    def interval(self, side_alpha: float, bets: Bets = PROMPT_BETS) -> Interval:
        """The mean gain over prompts like these, by `confidence_sequence`."""
        return confidence_sequence([self._pairs()] if self.n else [], bets, side_alpha)

    def clustered(self, confidence: float = 0.95) -> Estimate | None:
        """The gain with its delete-one-cluster interval, for comparison; None without prompts.

        Prompts of one tool set succeed and fail together, which the e-process over prompts does not
        see. Valid for one look.
        """
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
    """log E against "the mean gain on prompts like these is at most `mean`" (below: "at least").

    E = sum_l pi_l prod_j (1 + l (D_j - mean)). The prompts have to be a random sample of those that
    the claim is about, each taken once. Valid after every prompt (Waudby-Smith & Ramdas 2024). 15
    wins to 5 on 60 prompts give E = 7, less than the 20 that alpha = 0.05 asks for.

    With a planned number of prompts, v = 3/4 of the capital lie on one bet. It pays 1/alpha if
    McNemar's exact test rejects at v alpha once exactly so many prompts are in, and else nothing.
    Under the hypothesis that is worth at most v alpha / alpha = v on average, so together with the
    other quarter it makes an e-value at every look. (Before the last look that bet counts as 0,
    which is less than it is worth.) This brings most of the exact test's power and keeps earlier
    looks.

    Args:
        planned: the number of prompts, if it was fixed beforehand. Used for mean = 0 only.

    Raises:
        ValueError: alpha is outside (0, 0.5], there are more prompts than planned, or an outcome is
            no whole number where a number of prompts is planned.
    """
    check_alpha(alpha)
    process = EProcess(bets, mean, below)
    if pairs.n:
        process.absorb(pairs._pairs())
    if planned is None or below or mean != 0:
        return process.log_e
    if not pairs.whole:
        raise ValueError("outcomes between -1 and 1 have no exact test; bet on a planned number of them with planned_log_e")
    if pairs.n > planned:
        raise ValueError(f"{pairs.n} prompts where {planned} were planned: the plan has to be made before the first outcome")
    rest = math.log(1 - FINAL_SHARE) + process.log_e
    if pairs.n < planned or pairs.mcnemar > FINAL_SHARE * alpha:
        return rest
    return rest + math.log1p(math.exp(-math.log(alpha) - rest))
