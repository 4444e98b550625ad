"""Betting on paired differences: e-processes and confidence sequences for their mean, in log space.

A gambler who may only bet against a hypothesis grows rich if it is false and, on average, does not
if it is true. His wealth E is an e-process: E[E] <= 1 at every stopping rule under the hypothesis,
so P(E ever reaches 1/alpha) <= alpha (Ville). One may look after every block, and stop or go on for
any reason.

One block holds pairs of outcomes D = X_candidate - X_baseline in [-1, 1] with weights w and centres
g; with gain x = D - g the factor of a bet of size l against "mean <= mu" is

    product over the block of 1 + l w (x - mu),
    l <= 0.95 / (W (1 + max g + mu)),  W the largest weight

A weighted mean over several l (the prior) is an e-process again. Why a block's factor has an
expectation of at most 1 under "delta <= mu", where delta = mean over the suite's m prompts of
delta_j = E[D_j], given everything before the block:

1. *A pass over the suite*: every prompt j is asked r_j >= 1 times, each time with weight 1/r_j.
   Outcomes are independent given the prompts, and 1 + a <= exp(a), so the expectation is
   prod_j (1 + l (delta_j - g_j - mu)/r_j)^r_j <= exp(l sum_j (delta_j - g_j - mu))
   = exp(l m (delta - mu)) <= 1, because sum_j g_j = 0.
2. *Prompts drawn with replacement*, j with probability q_j and weight 1/(m q_j): each factor has
   the expectation 1 + l sum_j q_j (delta_j - g_j - mu)/(m q_j) = 1 + l (delta - mu) <= 1.

What happened before a block may decide which prompts repeat, q, g, the caps and which candidates
take part. Only whole blocks count: within a pass the product is not an e-process. Nothing is
assumed about the p_j, their differences between prompts, or the order of prompts. If they drift, it
is enough that delta <= mu holds within each block.

Sources: Waudby-Smith & Ramdas (2024), JRSS B 86 (betting, mixtures, confidence sequences); Spertus,
Sridhar & Stark (2024), arXiv:2409.06680 (strata); Ville (1939).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .beta import bisected
from .intervals import Interval

_SAFE = 0.95
_ROUNDING = 1e-9
# So many factors of at least 0.05 and at most 40 stay within a double's exponent.
_CHUNK = 128
_STEPS = 18  # of a width of 2: to 0.00001


@dataclass(frozen=True, slots=True)
class Bets:
    """A mixture of bets.

    Attributes:
        lambdas: sizes, ascending and above 0.
        prior: the share of the capital that each bet starts with, above 0 and summing to 1.
    """

    lambdas: tuple[float, ...]
    prior: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.lambdas or len(self.lambdas) != len(self.prior):
            raise ValueError(f"{len(self.lambdas)} bets with {len(self.prior)} shares: need at least one, and as many of both")
        if not all(0 < low < high < math.inf for low, high in zip((1e-12, *self.lambdas), self.lambdas, strict=False)):
            raise ValueError(f"bets {self.lambdas}: need ascending finite numbers above 0")
        if not all(share > 0 for share in self.prior) or abs(math.fsum(self.prior) - 1) > 1e-6:
            raise ValueError(f"shares {self.prior}: need numbers above 0 that sum to 1")


PROMPT_BETS = Bets((0.05, 0.10, 0.20, 0.35, 0.55, 0.80), (0.06, 0.12, 0.24, 0.26, 0.20, 0.12))
"""Bets for one outcome per prompt, when the size of a gain in units of its noise is unknown."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The paired differences of one complete block, for one candidate.

    All but the gains are fixed before the block.

    Attributes:
        gains: D - g, each in [-1 - max g, 1 - min g].
        weights: one for each gain, above 0.
        max_weight: the largest weight that the block's plan could have given to any prompt.
        deepest: how far a gain of any prompt can lie below 0: 1 + max g.
        highest: how far a gain of any prompt can lie above 0: 1 - min g.

    Raises:
        ValueError: a value is missing, NaN or out of range. A limit of NaN would let bets of any
            size through.
    """

    gains: tuple[float, ...]
    weights: tuple[float, ...]
    max_weight: float = 1.0
    deepest: float = 1.0
    highest: float = 1.0

    def __post_init__(self) -> None:
        if not self.gains or len(self.gains) != len(self.weights):
            raise ValueError(
                f"{len(self.gains)} gains with {len(self.weights)} weights: a block needs at least one, and as many of both"
            )
        try:
            total = math.fsum(self.gains) + math.fsum(self.weights)
        except (TypeError, ValueError, OverflowError):
            total = math.nan
        if not math.isfinite(total):
            raise ValueError("a gain or a weight is missing (None, NaN or infinite): only complete blocks count")
        limits = (self.max_weight, self.deepest, self.highest)
        if not all(0 <= limit < math.inf for limit in limits) or self.max_weight == 0:
            raise ValueError(
                f"max_weight, deepest and highest of {', '.join(map(str, limits))}: need finite numbers of at least 0, and a max_weight above 0"
            )
        if min(self.gains) < -self.deepest - _ROUNDING or max(self.gains) > self.highest + _ROUNDING:
            raise ValueError(
                f"gains from {min(self.gains):g} to {max(self.gains):g}: allowed are -{self.deepest:g} to {self.highest:g}, fixed before the block"
            )
        if min(self.weights) <= 0 or max(self.weights) > self.max_weight + _ROUNDING:
            raise ValueError(
                f"weights from {min(self.weights):g} to {max(self.weights):g}: need above 0 and at most {self.max_weight:g}"
            )


def log_growths(pairs: Pairs, bets: Bets, mean: float, *, below: bool = False) -> list[float]:
    """How each bet's log wealth grows in a block, against "at most `mean`" (below: "at least").

    Domain: mean in [-1, 1], which `EProcess` checks. One may look after every block.

    Each capped factor 1 + min(l, cap(mean)) w (x - mean) falls in `mean` (below: rises), so
    `confidence_sequence` is an interval. Where the cap binds, the derivative has the sign of
    -(W (1 + max g) + W x), which is at most 0.
    """
    if below:
        room = pairs.highest - mean
        steps = [w * (mean - x) for x, w in zip(pairs.gains, pairs.weights, strict=True)]
    else:
        room = pairs.deepest + mean
        steps = [w * (x - mean) for x, w in zip(pairs.gains, pairs.weights, strict=True)]
    cap = _SAFE / (pairs.max_weight * room) if room > 0 else math.inf
    sizes = [min(size, cap) for size in bets.lambdas]
    growths = {size: _log_product(size, steps) for size in dict.fromkeys(sizes)}
    return [growths[size] for size in sizes]


def _log_product(size: float, steps: Sequence[float]) -> float:
    if len(steps) <= _CHUNK:
        return math.log(math.prod([1.0 + size * step for step in steps]))
    parts = (steps[start : start + _CHUNK] for start in range(0, len(steps), _CHUNK))
    return math.fsum(math.log(math.prod([1.0 + size * step for step in part])) for part in parts)


def log_mean_exp(logs: Sequence[float], prior: Sequence[float]) -> float:
    """The log of the sum of prior * exp(log), without overflow."""
    top = max(logs)
    return top + math.log(math.fsum([share * math.exp(log - top) for log, share in zip(logs, prior, strict=True)]))


@dataclass(slots=True)
class EProcess:
    """The wealth of a mixture of bets against "the mean is at most `mean`" (below: "at least").

    Valid at the end of every block, however often one looks. log_e starts at 0. It has no upper
    bound; the lower one is about n log(0.05) after n pairs. ValueError for a mean outside [-1, 1].
    """

    bets: Bets
    mean: float = 0.0
    below: bool = False
    logs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not -1 <= self.mean <= 1:
            raise ValueError(f"mean {self.mean}: need a number in [-1, 1]")
        if not self.logs:
            self.logs = [0.0] * len(self.bets.lambdas)

    def absorb(self, pairs: Pairs) -> None:
        """Add one complete block."""
        self.logs = [
            log + more for log, more in zip(self.logs, log_growths(pairs, self.bets, self.mean, below=self.below), strict=True)
        ]

    @property
    def log_e(self) -> float:
        """Natural log of the evidence; compare with log(1/alpha)."""
        return log_mean_exp(self.logs, self.bets.prior)

    @classmethod
    def of(cls, blocks: Iterable[Pairs], bets: Bets, mean: float, *, below: bool = False) -> EProcess:
        """The process after these blocks."""
        process = cls(bets, mean, below)
        for pairs in blocks:
            process.absorb(pairs)
        return process


def confidence_sequence(blocks: Sequence[Pairs], bets: Bets, side_alpha: float) -> Interval:
    """The means that the bets have not refuted: an interval that holds at all times at once.

    `low` is the largest mu with E(mean <= mu) >= 1/side_alpha, and `high` the smallest with
    E(mean >= mu) >= 1/side_alpha. P(delta is ever below low) <= side_alpha, and so for high, at all
    block ends at once: one may look whenever one likes. The evidence against "delta <= 0" reaches
    1/side_alpha exactly when `low` reaches 0.

    The wealth falls (rises) in mu, see `log_growths`, so what is not refuted is an interval. It is
    found by bisection within [-1, 1], which is also the answer without any block.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86, section 4.

    Raises:
        ValueError: side_alpha is outside (0, 0.5].
    """
    if not 0 < side_alpha <= 0.5:
        raise ValueError(f"alpha {side_alpha}: need a number in (0, 0.5]")
    wanted = math.log(1 / side_alpha)
    return Interval(_bound(blocks, bets, wanted, below=False), _bound(blocks, bets, wanted, below=True))


def _bound(blocks: Sequence[Pairs], bets: Bets, wanted: float, *, below: bool) -> float:
    """The border of what is refuted, searched from the end of [-1, 1] that is refuted first.

    It lies on the refuted side.
    """
    refuted, open_ = (1.0, -1.0) if below else (-1.0, 1.0)
    if not blocks or EProcess.of(blocks, bets, refuted, below=below).log_e < wanted:
        return refuted
    return bisected(refuted, open_, lambda mean: EProcess.of(blocks, bets, mean, below=below).log_e >= wanted, _STEPS)[0]


def non_inferiority(blocks: Sequence[Pairs], margin: float, bets: Bets = PROMPT_BETS) -> float:
    """log E against "worse by at least the margin", about a share such as the restraint rate.

    It is the e-process with D + margin in place of D: E = sum_l pi_l prod(1 + l w (D + margin)).
    Compare it with log(1/alpha). Valid at every block end, however often one looks. Without a block
    it is 0, which shows nothing.

    Source: Waudby-Smith & Ramdas (2024), JRSS B 86.

    Args:
        blocks: complete blocks of paired differences, as the head of this file describes them.
        margin: in (0, 1); 0.03 means 3 points.

    Raises:
        ValueError: the margin is out of range.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin}: need a number strictly between 0 and 1, such as 0.03")
    return EProcess.of(blocks, bets, -margin).log_e
