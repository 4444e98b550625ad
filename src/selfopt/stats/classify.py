"""Classifies prompts as stable, incapable, flaky, cold start or drift, by a mixture of the rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .order import cold_order_p, drift_order_p
from .patterns import MIN_PATTERN_RUNS, RowPattern
from .row_models import CLASSES, PassRow, log_likelihoods, log_sum_exp

CALLING_POSTERIOR = 0.8
ORDER_SIGNIFICANCE = 0.05

_PRIOR = (0.40, 0.15, 0.33, 0.06, 0.06)
_PSEUDO_PROMPTS = 10.0
_MIN_RUNS = 3
_MAX_STEPS = 200
_SETTLED = 1e-7
_ORDERED = (RowPattern.COLD_START, RowPattern.DRIFT)


@dataclass(frozen=True, slots=True)
class ClassifiedRow:
    """What is known about one row.

    Attributes:
        posterior: the probability of each class, summing to 1.
        called: the class; None when nothing is said (abstained).
    """

    posterior: Mapping[RowPattern, float]
    called: RowPattern | None

    @property
    def likeliest(self) -> RowPattern:
        """The class with the largest posterior, called or not."""
        return max(self.posterior, key=lambda pattern: self.posterior[pattern])


@dataclass(frozen=True, slots=True)
class Classification:
    """The classification of a suite's prompts.

    Attributes:
        rows: in the order in which they were given.
        weights: the share of each class among the prompts, estimated with the prior.
        cold_p, drift_p: p-values of the tests over prompts. A row is called cold start or drift
            only when its test is significant.
    """

    rows: tuple[ClassifiedRow, ...]
    weights: Mapping[RowPattern, float]
    cold_p: float
    drift_p: float

    def called(self, pattern: RowPattern | None) -> tuple[int, ...]:
        """The indexes of the rows that were called so; None: of those with no call."""
        return tuple(index for index, row in enumerate(self.rows) if row.called is pattern)

    def least_posterior(self, pattern: RowPattern) -> float | None:
        """The smallest posterior among the rows that were called so; None when none was."""
        return min((row.posterior[pattern] for row in self.rows if row.called is pattern), default=None)

    def counts(self) -> dict[str, int]:
        """How many rows each class was called for, and how many were `abstained`.

        Zero counts are left out.
        """
        found = Counter(row.called.value if row.called is not None else "abstained" for row in self.rows)
        return {name: found[name] for name in (*(c.value for c in CLASSES), "abstained") if found[name]}


def classify_rows(rows: Sequence[PassRow]) -> Classification:
    """Classify the prompts of one suite together.

    posterior_i(c) is proportional to w_c L_i(c). The likelihoods L are those of `row_models`; the
    class weights w are estimated by EM over the rows, with 10 pseudo-prompts of prior (.40 stable,
    .15 incapable, .33 flaky, .06 cold start, .06 drift).

    A row of at least 3 runs is called by the class whose posterior is at least .8. Cold start and
    drift also need 5 runs, and failures that gather in the first (last) runs over the prompts with
    p < .05 (see `order`).

    Domain: any number of rows, of any lengths and in any order, without faults of infrastructure or
    harness. Valid for one look at a fixed number of runs, not for stopping once a class is called.

    Source: empirical Bayes mixture (Dempster, Laird & Rubin, 1977); the project's simulations in
    `perf/patterns.py`.
    """
    likelihoods = {row: log_likelihoods(row) for row in dict.fromkeys(rows)}
    counts = Counter(rows)
    # Sorted, so that sums of floats do not depend on the order of the prompts.
    weighted = sorted((likelihoods[row], counts[row]) for row in likelihoods)
    log_weights = _fit(weighted)
    cold_p, drift_p = cold_order_p(rows), drift_order_p(rows)
    allowed = {RowPattern.COLD_START: cold_p < ORDER_SIGNIFICANCE, RowPattern.DRIFT: drift_p < ORDER_SIGNIFICANCE}
    classified = {row: _classified(row, _posterior(likelihoods[row], log_weights), allowed) for row in likelihoods}
    return Classification(
        rows=tuple(classified[row] for row in rows),
        weights={c: math.exp(w) for c, w in zip(CLASSES, log_weights, strict=True)},
        cold_p=cold_p,
        drift_p=drift_p,
    )


def _posterior(log_likelihood: Sequence[float], log_weights: Sequence[float]) -> tuple[float, ...]:
    joint = [one + weight for one, weight in zip(log_likelihood, log_weights, strict=True)]
    total = log_sum_exp(joint)
    return tuple(math.exp(one - total) for one in joint)


def _fit(rows: Sequence[tuple[tuple[float, ...], int]]) -> tuple[float, ...]:
    """The log class weights by EM: w = (sum of posteriors + 10 prior) / (rows + 10).

    The prior keeps every weight above 0.
    """
    weights = tuple(_PRIOR)
    # In units of each row's best class, so that nothing under- or overflows and the steps need no logarithms.
    scaled = [(tuple(math.exp(v - max(values)) for v in values), count) for values, count in rows]
    total = sum(count for _, count in rows) + _PSEUDO_PROMPTS
    for _ in range(_MAX_STEPS):
        sums = [_PSEUDO_PROMPTS * share for share in _PRIOR]
        for values, count in scaled:
            joint = [w * v for w, v in zip(weights, values, strict=True)]
            factor = count / sum(joint)
            for index, value in enumerate(joint):
                sums[index] += factor * value
        before, weights = weights, tuple(one / total for one in sums)
        if max(abs(a - b) for a, b in zip(before, weights, strict=True)) < _SETTLED:
            break
    return tuple(math.log(w) for w in weights)


def _classified(row: PassRow, posterior: Sequence[float], allowed: Mapping[RowPattern, bool]) -> ClassifiedRow:
    found = ClassifiedRow(dict(zip(CLASSES, posterior, strict=True)), None)
    n, likeliest = len(row.passes), found.likeliest
    shown = likeliest not in _ORDERED or (n >= MIN_PATTERN_RUNS and allowed[likeliest])
    if n >= _MIN_RUNS and shown and found.posterior[likeliest] >= CALLING_POSTERIOR:
        return ClassifiedRow(found.posterior, likeliest)
    return found
