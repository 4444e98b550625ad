"""Is the candidate better than the baseline, and not by luck?"""

from __future__ import annotations

from statistics import median

from selfopt.records import Metrics

from .base import ROUNDING, GateCase, Look, PlainGate


def _no_regression(case: GateCase) -> Look | None:
    """Compares the median runs with each other, and the means with each other.

    A baseline that fails only while it loads has a perfect median, and no mean with a failure in it
    could reach that. A race has no whole runs, so only its means are compared.
    """
    if case.baseline is None:
        return None
    ours, theirs = case.candidate.metrics, case.baseline.metrics
    if case.raced:
        detail = f"mean {ours.accuracy:.3f}, the baseline's {theirs.accuracy:.3f}, over the race's draws"
        return Look(ours.accuracy, theirs.accuracy, ours.accuracy >= theirs.accuracy - ROUNDING, detail)
    pairs = ((_typical(ours), _typical(theirs)), (ours.accuracy, theirs.accuracy))
    worse = [pair for pair in pairs if pair[0] < pair[1] - ROUNDING]
    observed, threshold = worse[0] if worse else pairs[0]
    detail = f"median run {pairs[0][0]:.3f}, the baseline's {pairs[0][1]:.3f}; mean {ours.accuracy:.3f}, the baseline's {theirs.accuracy:.3f}"
    return Look(observed, threshold, not worse, detail)


def _typical(metrics: Metrics) -> float:
    return median(metrics.run_accuracies) if metrics.run_accuracies else metrics.accuracy


def _ceiling(case: GateCase) -> Look | None:
    if case.baseline is None or case.baseline.metrics.accuracy < 1 - ROUNDING:
        return None
    return Look(1.0, "below 1", False, "the baseline passes every trial")


def _margin(case: GateCase) -> Look | None:
    if case.baseline is None:
        return None
    gain = case.candidate.metrics.accuracy - case.baseline.metrics.accuracy
    margin = case.thresholds.promote_margin
    # Even a margin of 0 demands a gain: ties keep the baseline.
    passed = gain >= margin - ROUNDING and gain > ROUNDING
    return Look(gain, margin, passed, f"accuracy changed by {gain:+.3f}, margin {margin:.3f}")


def _variance(case: GateCase) -> Look:
    ours, limit = case.candidate.metrics.variance, case.thresholds.max_variance
    if case.candidate.n_runs < 2 and not case.candidate.has_copies:
        return Look(None, limit, None, "one run has no variance")
    return Look(ours, limit, ours <= limit + ROUNDING, f"variance of the runs' accuracies {ours:.4f}, limit {limit:.4f}")


NO_REGRESSION = PlainGate("no_regression", "regression", "reject", _no_regression)
# Evidence accounts for the noise of flaky prompts, so under evidence this gate only advises.
VARIANCE = PlainGate("variance", "high_variance", "hold", _variance, advises=True)
CEILING = PlainGate("ceiling", "ceiling", "hold", _ceiling)
PROMOTE_MARGIN = PlainGate("promote_margin", "below_margin", "hold", _margin)
