"""Whether prompts pass less often than recorded runs did: an exact two-sample test, stratified by prompt.

Under the hypothesis that every prompt still passes as often as it did, the outcomes of one prompt are
exchangeable: given how many of all its outcomes passed, the number of passes among the present ones is
hypergeometric, and independent between prompts. Their sum has the convolution of these distributions,
so its lower tail is an exact p value, whatever the pass rates are. Prompts whose outcomes all agree add
nothing to it.

Looking after each pass has to be paid for: each look gets a share of alpha (`look_shares`), so that the
chance of a false alarm at any look is at most alpha.

Source: Mehta, Patel & Gray (1985), JASA 80, 969-973 (exact tests over strata).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_NEGLIGIBLE = 1e-25


@dataclass(frozen=True, slots=True)
class Stratum:
    """The outcomes of one prompt. Each count of passes is at most its count of runs.

    Raises:
        ValueError: a count is impossible.
    """

    now: int
    now_runs: int
    before: int
    before_runs: int

    def __post_init__(self) -> None:
        if not (0 <= self.now <= self.now_runs and 0 <= self.before <= self.before_runs):
            raise ValueError(f"{self}: need passes from 0 to the number of runs")


def fewer_passes_p(strata: Iterable[Stratum]) -> float:
    """P(as few passes now, or fewer), if every prompt passes as often as before. 1 without outcomes.

    One look only: whoever looks repeatedly shares alpha out.
    """
    counts, observed = list[list[float]](), 0
    for stratum in strata:
        passes = stratum.now + stratum.before
        least, most = max(0, passes - stratum.before_runs), min(passes, stratum.now_runs)
        if least == most:
            continue
        observed += stratum.now - least
        counts.append(_hypergeometric(stratum.now_runs, stratum.before_runs, passes, least, most))
    # What is above the observed sum stays above it. What is below and negligible counts as if it stayed below.
    sums, offset, below = [1.0], 0, 0.0
    for chances in counts:
        sums = _added(sums, chances)[: observed - offset + 1]
        while len(sums) > 1 and sums[0] < _NEGLIGIBLE:
            below += sums.pop(0)
            offset += 1
    return min(1.0, below + math.fsum(sums))


def _hypergeometric(now_runs: int, before_runs: int, passes: int, least: int, most: int) -> list[float]:
    """The chance of each number of passes among the present outcomes, from the least possible on."""
    whole = math.comb(now_runs + before_runs, passes)
    return [math.comb(now_runs, k) * math.comb(before_runs, passes - k) / whole for k in range(least, most + 1)]


def _added(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The distribution of the sum of two independent counts."""
    found = [0.0] * (len(one) + len(other) - 1)
    for shift, chance in enumerate(other):
        for place, value in enumerate(one, shift):
            found[place] += chance * value
    return found


def look_shares(looks: int) -> tuple[float, ...]:
    """What share of alpha each of so many looks gets. They sum to 1.

    The first looks get most: a large loss shows at once, and each look less is a pass less.

    Raises:
        ValueError: looks is below 1.
    """
    if looks < 1:
        raise ValueError(f"{looks} looks: need at least 1")
    weights = [1 / math.sqrt(look) for look in range(1, looks + 1)]
    total = math.fsum(weights)
    return tuple([weight / total for weight in weights])
