"""What each class of prompt makes of a row of outcomes: marginal likelihoods, with load evidence as a second signal.

    stable       every run Beta(40, 1)
    incapable    every run Beta(1, 40)
    flaky        every run Beta(1.3, 1.3)
    cold start   the first k runs Beta(1, 9), the rest Beta(40, 1); k = 1, 2, 3 with weights .55, .35, .10
    drift        Beta(40, 1) up to a change point, Beta(1, 9) from there on; every change point from the third run on alike

A run shows a load with probability .85 where it is a cold one, else .25 in the first two runs and .03 later; None (the server
tells nothing) is no evidence either way. Source: the project's simulations, checked by `perf/patterns.py`.
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
    """Natural log of the probability of one order of these outcomes under a pass rate from Beta(a, b):
    B(a + passes, b + failures) / B(a, b).

    Domain: counts >= 0, a and b > 0. Source: the beta-binomial without its binomial factor (Gelman et al., Bayesian Data
    Analysis, 2.4). Not a statement about evidence by itself, so there is nothing to look at twice.
    """
    return _log_beta(a + passes, b + failures) - _log_beta(a, b)


@dataclass(frozen=True, slots=True)
class PassRow:
    """One prompt's outcomes over runs, in the order of time (True: pass), and whether each run shows a load of the model (None:
    not known; empty: of no run). Trials that ended in a fault of infrastructure or harness are left out by whoever makes it.

    ValueError for no outcome at all, an outcome that is neither True nor False (a missing one, NaN), or loads of another
    length than the outcomes.
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
        """Runs that did not pass."""
        return len(self.passes) - sum(self.passes)


def log_sum_exp(values: Sequence[float]) -> float:
    """log(sum(exp(values))) without overflow; -inf for none."""
    largest = max(values, default=-math.inf)
    return largest if math.isinf(largest) else largest + math.log(math.fsum(math.exp(v - largest) for v in values))


def log_likelihoods(row: PassRow) -> tuple[float, ...]:
    """Natural log of the row's likelihood under each of `CLASSES`, divided by what all have in common: the load evidence as it
    would be without a cold start. -inf where a row is too short for a class (one run for cold start, two for drift)."""
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
    """Log likelihood ratio of cold start to flaky for a row of n runs with so many failures. Given these two the order matters
    through the first three runs only (`first`, with their loads)."""
    terms = _cold_terms(first, loads, n, failures)
    return log_sum_exp(list(terms.values())) - log_marginal(n - failures, failures, *_ANY)


def cold_length(row: PassRow) -> int:
    """How many of the first runs were cold if the row is that of a cold start: the likeliest k, 0 for a row of one run."""
    terms = _cold_terms(row.passes[:MAX_COLD_RUNS], row.loads[:MAX_COLD_RUNS], len(row.passes), row.failures)
    return max(terms, key=lambda k: terms[k], default=0)


def _cold_terms(first: tuple[bool, ...], loads: tuple[bool | None, ...], n: int, failures: int) -> dict[int, float]:
    """Log likelihood with its weight, by k."""
    terms = {}
    for k, weight in _COLD_WEIGHTS:
        if k < n:
            early = k - sum(first[:k])
            rest = failures - early
            cold = log_marginal(k - early, early, *_BROKEN) + log_marginal(n - k - rest, rest, *_GOOD)
            terms[k] = math.log(weight) + cold + _load_log_ratio(loads[:k])
    return terms


def _load_log_ratio(loads: Sequence[bool | None]) -> float:
    """Of the loads in cold runs to the same loads in runs of a model that is loaded."""
    total = 0.0
    for index, shown in enumerate(loads):
        usual = _LOAD_EARLY if index < _EARLY_RUNS else _LOAD_LATER
        if shown is not None:
            total += math.log(_LOAD_WHEN_COLD / usual if shown else (1 - _LOAD_WHEN_COLD) / (1 - usual))
    return total


def _log_drift(passes: Sequence[bool], failures: int) -> float:
    """Uniform over the change points 2, ..., n - 1 (so many good runs before it)."""
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
    """Log likelihood ratio of drift to flaky for a row of n runs in which `late` of the failures are among the last ones, when
    as many last runs are taken as there are failures (the change point that fits best). -inf where there is none."""
    if not 1 <= failures <= n - _FIRST_CHANGE:
        return -math.inf
    early = failures - late
    return _log_changed(n - failures - early, early, n, failures) - log_marginal(n - failures, failures, *_ANY)
