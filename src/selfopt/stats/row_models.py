"""The likelihood of a row of outcomes under each class of prompt, with load evidence.

    stable       every run Beta(40, 1)
    incapable    every run Beta(1, 40)
    flaky        every run Beta(1.3, 1.3)
    cold start   the first k runs Beta(1, 9), the rest Beta(40, 1);
                 k = 1, 2, 3 with weights .55, .35, .10
    drift        Beta(40, 1) up to a change point, Beta(1, 9) from there on;
                 all change points from the third run on are alike

A run shows a load with probability .85 when it is a cold one, else .25 in the first two runs and
.03 later. None (the server tells nothing) is no evidence either way. Source: the project's
simulations, checked by `perf/patterns.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from .patterns import MAX_COLD_RUNS, RowPattern

CLASSES = (RowPattern.STABLE, RowPattern.INCAPABLE, RowPattern.FLAKY, RowPattern.COLD_START, RowPattern.DRIFT)

_GOOD, _BAD, _ANY, _BROKEN = (40.0, 1.0), (1.0, 40.0), (1.3, 1.3), (1.0, 9.0)
_COLD_WEIGHTS = ((1, 0.55), (2, 0.35), (3, 0.10))
_FIRST_CHANGE = 2
_LOAD_WHEN_COLD, _LOAD_EARLY, _LOAD_LATER, _EARLY_RUNS = 0.85, 0.25, 0.03, 2


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@cache
def log_marginal(passes: int, failures: int, a: float, b: float) -> float:
    """The log probability of one order of these outcomes under a pass rate from Beta(a, b).

    It is B(a + passes, b + failures) / B(a, b), for counts >= 0 and a, b > 0. Source: the
    beta-binomial without its binomial factor (Gelman et al., Bayesian Data Analysis, 2.4).
    """
    return _log_beta(a + passes, b + failures) - _log_beta(a, b)


@dataclass(frozen=True, slots=True)
class PassRow:
    """One prompt's outcomes over runs, in the order of time.

    Whoever makes it leaves out trials that ended in a fault of infrastructure or harness.

    Attributes:
        passes: True for a pass.
        loads: whether each run shows a load of the model; None: not known. Empty: known of no run.

    Raises:
        ValueError: there is no outcome, an outcome is neither True nor False, or the lengths
            differ.
    """

    passes: tuple[bool, ...]
    loads: tuple[bool | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.passes:
            raise ValueError("a row without outcomes: leave the prompt out")
        for name, values, allowed in (("outcome", self.passes, (True, False)), ("load", self.loads, (True, False, None))):
            wrong = [v for v in values if not any(v is one for one in allowed)]
            if wrong:
                raise ValueError(
                    f"{name} {wrong[0]!r} in a row: allowed are {', '.join(map(repr, allowed))}; leave out runs without an outcome"
                )
        if self.loads and len(self.loads) != len(self.passes):
            raise ValueError(f"{len(self.loads)} loads for {len(self.passes)} outcomes: give one for each run, or none")

    @property
    def failures(self) -> int:
        """How many runs did not pass."""
        return len(self.passes) - sum(self.passes)


def log_sum_exp(values: Sequence[float]) -> float:
    """log(sum(exp(values))) without overflow; -inf without values."""
    largest = max(values, default=-math.inf)
    return largest if math.isinf(largest) else largest + math.log(math.fsum(math.exp(v - largest) for v in values))


def log_likelihoods(row: PassRow) -> tuple[float, ...]:
    """The natural log of the row's likelihood under each of `CLASSES`.

    The likelihoods are divided by a common factor, the load evidence as it would be without a cold
    start. They are -inf when a row is too short for a class (one run for cold start, two for
    drift).
    """
    n, failures = len(row.passes), row.failures
    flaky = log_marginal(n - failures, failures, *_ANY)
    return (
        log_marginal(n - failures, failures, *_GOOD),
        log_marginal(n - failures, failures, *_BAD),
        flaky,
        flaky + cold_log_ratio(row.passes[:MAX_COLD_RUNS], row.loads[:MAX_COLD_RUNS], n, failures),
        _log_drift(row.passes, failures),
    )


@cache
def cold_log_ratio(first: tuple[bool, ...], loads: tuple[bool | None, ...], n: int, failures: int) -> float:
    """The log likelihood ratio of cold start to flaky for a row of n runs with so many failures.

    Given these two, the order matters only through the first three runs (`first`, with their
    loads).
    """
    terms = _cold_terms(first, loads, n, failures)
    return log_sum_exp(list(terms.values())) - log_marginal(n - failures, failures, *_ANY)


def cold_length(row: PassRow) -> int:
    """How many first runs were cold if the row is a cold start; 0 for a row of one run."""
    terms = _cold_terms(row.passes[:MAX_COLD_RUNS], row.loads[:MAX_COLD_RUNS], len(row.passes), row.failures)
    return max(terms, key=lambda k: terms[k], default=0)


def _cold_terms(first: tuple[bool, ...], loads: tuple[bool | None, ...], n: int, failures: int) -> dict[int, float]:
    """The log likelihood of each k, with its weight."""
    terms = {}
    for k, weight in _COLD_WEIGHTS:
        if k < n:
            early = k - sum(first[:k])
            rest = failures - early
            cold = log_marginal(k - early, early, *_BROKEN) + log_marginal(n - k - rest, rest, *_GOOD)
            terms[k] = math.log(weight) + cold + _load_log_ratio(loads[:k])
    return terms


def _load_log_ratio(loads: Sequence[bool | None]) -> float:
    """The log likelihood ratio of these loads in cold runs to the same in warm runs."""
    total = 0.0
    for index, shown in enumerate(loads):
        usual = _LOAD_EARLY if index < _EARLY_RUNS else _LOAD_LATER
        if shown is not None:
            total += math.log(_LOAD_WHEN_COLD / usual if shown else (1 - _LOAD_WHEN_COLD) / (1 - usual))
    return total


def _log_drift(passes: Sequence[bool], failures: int) -> float:
    """The log likelihood of drift, uniform over the change points 2, ..., n - 1."""
    n, early, terms = len(passes), 0, []
    for change in range(1, n):
        early += not passes[change - 1]
        if change >= _FIRST_CHANGE:
            terms.append(_log_changed(change - early, early, n, failures))
    return log_sum_exp(terms) - math.log(len(terms)) if terms else -math.inf


def _log_changed(good_passes: int, good_failures: int, n: int, failures: int) -> float:
    late_failures = failures - good_failures
    late_passes = n - failures - good_passes
    return log_marginal(good_passes, good_failures, *_GOOD) + log_marginal(late_passes, late_failures, *_BROKEN)


@cache
def drift_log_ratio(late: int, n: int, failures: int) -> float:
    """The log likelihood ratio of drift to flaky for n runs, at the best change point.

    That point takes as many last runs as there are failures; `late` of the failures are among them.
    -inf when there is no such point.
    """
    if not 1 <= failures <= n - _FIRST_CHANGE:
        return -math.inf
    early = failures - late
    return _log_changed(n - failures - early, early, n, failures) - log_marginal(n - failures, failures, *_ANY)
