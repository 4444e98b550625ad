"""The plain gates, and the seam through which other gates (such as a sequential evidence gate) join them.

They are readable, configurable policy that catches gross cases; they do not bound the chance of a false promotion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Literal, Protocol

from selfopt.records import Environment, Evaluation, EvidenceState, GateResult, Metrics, Outcome, PolicyThresholds

__all__ = [
    "MAX_ERROR_SHARE",
    "PLAIN_GATES",
    "PLAIN_POLICY",
    "Case",
    "Gate",
    "PlainGate",
    "Policy",
    "error_share",
    "is_exact",
    "is_raced",
]

# Transport errors say nothing about the spec. Fewer than this may be what a candidate with more retries repairs.
MAX_ERROR_SHARE = 0.5
# Shares of the same trials reached by different sums may differ in the last bits.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be decided: a candidate, the baseline it would replace (None: there is none yet), the thresholds, the state
    of a sequential evidence gate (empty under the plain policy), and the environments that are known by id."""

    candidate: Evaluation
    baseline: Evaluation | None
    thresholds: PolicyThresholds
    evidence: EvidenceState = field(default_factory=EvidenceState)
    environments: Mapping[str, Environment] = field(default_factory=dict)


class Gate(Protocol):
    """One question. A gate with `precondition` asks whether there is enough to judge by: while one of those has not passed,
    the verdict is hold whatever the others say."""

    @property
    def precondition(self) -> bool:
        """Whether it must pass before any other gate may reject."""
        ...

    def check(self, case: Case) -> GateResult | None:
        """What it saw; None where the question does not arise."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """A gate's observation. passed None: not enough data."""

    observed: float | str | None
    threshold: float | str | None
    passed: bool | None
    detail: str
    binding: bool = True


@dataclass(frozen=True, slots=True)
class PlainGate:
    """A gate made of one function."""

    name: str
    reason_code: str
    on_fail: Literal["hold", "reject"]
    look: Callable[[Case], Look | None]
    precondition: bool = False

    def check(self, case: Case) -> GateResult | None:
        """What the function saw, under this gate's name."""
        look = self.look(case)
        if look is None:
            return None
        return GateResult(
            name=self.name,
            observed=look.observed,
            threshold=look.threshold,
            passed=look.passed,
            binding=look.binding,
            on_fail=self.on_fail,
            reason_code=self.reason_code,
            detail=look.detail,
        )


def is_exact(evaluation: Evaluation) -> bool:
    """Whether repeats are known to be copies, so that one pass is all there is to know about this suite."""
    return evaluation.determinism in ("sampled", "complete")


def is_raced(case: Case) -> bool:
    """Whether candidate and baseline met in a race."""
    return "log_e" in case.evidence.figures


def error_share(evaluation: Evaluation) -> float:
    """Share of trials that ended in a transport or HTTP error; 0 without trials."""
    metrics = evaluation.metrics
    return metrics.counts.get(Outcome.ERROR, 0) / metrics.n if metrics.n > 0 else 0.0


def _same_environment(case: Case, candidate: Evaluation, baseline: Evaluation) -> bool:
    """Equal, or nothing that both observations tell differs. The context size is a choice of the spec, not a circumstance."""
    if candidate.environment_id == baseline.environment_id:
        return True
    ours, theirs = (case.environments.get(side.environment_id) for side in (candidate, baseline))
    return ours is not None and theirs is not None and ours.compatible_with(theirs, ignoring=frozenset({"context_size"}))


def _differences(case: Case, candidate: Evaluation, baseline: Evaluation) -> list[str]:
    pairs: list[tuple[str, object, object]] = [
        ("model", candidate.model, baseline.model),
        ("phase", candidate.phase, baseline.phase),
        ("suite", candidate.suite_hash, baseline.suite_hash),
        ("split", candidate.split, baseline.split),
        ("scorer", candidate.scorer_hash, baseline.scorer_hash),
        ("environment", _same_environment(case, candidate, baseline), True),
    ]
    if not is_raced(case):  # a race asks both the same prompts by its plan, and an early loser fewer of them
        pairs.append(("prompts", {r.prompt_id for r in candidate.rows}, {r.prompt_id for r in baseline.rows}))
    found = [name for name, ours, theirs in pairs if ours != theirs]
    return [*found, "nothing at all: it is the baseline itself"] if candidate.spec_id == baseline.spec_id else found


def _comparable(case: Case) -> Look | None:
    if case.baseline is None:
        return None
    different = _differences(case, case.candidate, case.baseline)
    if not different:
        return Look("same", "same", True, "same suite, split, scorer, environment and prompts as the baseline")
    return Look(", ".join(different), "same", False, f"differs from the baseline in: {', '.join(different)}")


def _data(case: Case) -> Look:
    n = case.candidate.metrics.n if case.baseline is None else min(case.candidate.metrics.n, case.baseline.metrics.n)
    return Look(n, 1, n >= 1, f"{case.candidate.metrics.n} trials judged")


def _errors(case: Case) -> Look:
    sides = [case.candidate] if case.baseline is None else [case.candidate, case.baseline]
    worst = max(error_share(side) for side in sides)
    return Look(worst, MAX_ERROR_SHARE, worst < MAX_ERROR_SHARE, f"at most {worst:.3f} of the trials ended in a transport error")


def _runs(evaluation: Evaluation, minimum: int) -> Look:
    if is_exact(evaluation):
        return Look(evaluation.n_runs, minimum, True, f"deterministic ({evaluation.determinism}): repeats would be copies")
    return Look(evaluation.n_runs, minimum, evaluation.n_runs >= minimum, f"{evaluation.n_runs} runs of at least {minimum}")


def _min_runs(case: Case) -> Look:
    return _runs(case.candidate, case.thresholds.min_runs)


def _baseline_min_runs(case: Case) -> Look | None:
    return None if case.baseline is None else _runs(case.baseline, case.thresholds.min_runs)


def _no_regression(case: Case) -> Look | None:
    """Like with like: the median run against the median run, and the mean against the mean. A baseline that fails while it loads
    has a perfect median, which no mean with a single failure reaches. What a race asks is no whole run: there the means count."""
    if case.baseline is None:
        return None
    ours, theirs = case.candidate.metrics, case.baseline.metrics
    if is_raced(case):
        detail = f"mean {ours.accuracy:.3f}, the baseline's {theirs.accuracy:.3f}, over the race's draws"
        return Look(ours.accuracy, theirs.accuracy, ours.accuracy >= theirs.accuracy - _ROUNDING, detail)
    pairs = ((_typical(ours), _typical(theirs)), (ours.accuracy, theirs.accuracy))
    worse = [pair for pair in pairs if pair[0] < pair[1] - _ROUNDING]
    observed, threshold = worse[0] if worse else pairs[0]
    detail = f"median run {pairs[0][0]:.3f}, the baseline's {pairs[0][1]:.3f}; mean {ours.accuracy:.3f}, the baseline's {theirs.accuracy:.3f}"
    return Look(observed, threshold, not worse, detail)


def _typical(metrics: Metrics) -> float:
    return median(metrics.run_accuracies) if metrics.run_accuracies else metrics.accuracy


def _ceiling(case: Case) -> Look | None:
    if case.baseline is None or case.baseline.metrics.accuracy < 1 - _ROUNDING:
        return None
    return Look(1.0, "below 1", False, "the baseline passes every trial")


def _margin(case: Case) -> Look | None:
    if case.baseline is None:
        return None
    gain = case.candidate.metrics.accuracy - case.baseline.metrics.accuracy
    margin = case.thresholds.promote_margin
    # A margin of 0 still asks for a gain: ties keep the baseline.
    passed = gain >= margin - _ROUNDING and gain > _ROUNDING
    return Look(gain, margin, passed, f"accuracy changed by {gain:+.3f}, margin {margin:.3f}")


def _restraint(case: Case) -> Look:
    ours, minimum = case.candidate.metrics.restraint, case.thresholds.restraint_min
    if ours is None:
        return Look(None, minimum, None, "no prompt of this suite asks for restraint", binding=False)
    return Look(ours, minimum, ours >= minimum - _ROUNDING, f"restraint {ours:.3f}, minimum {minimum:.3f}")


def _variance(case: Case) -> Look:
    ours, limit = case.candidate.metrics.variance, case.thresholds.max_variance
    if case.candidate.n_runs < 2 and not is_exact(case.candidate):
        return Look(None, limit, None, "one run has no variance")
    return Look(ours, limit, ours <= limit + _ROUNDING, f"variance of the runs' accuracies {ours:.4f}, limit {limit:.4f}")


def _extended(case: Case) -> Look | None:
    if case.candidate.phase != "extended":
        return None
    metrics, minimum = case.candidate.metrics, case.thresholds.extended_phase_min_accuracy
    weakest = metrics.accuracy if metrics.call_accuracy is None else min(metrics.accuracy, metrics.call_accuracy)
    enabled = case.thresholds.extended_gate_enabled
    detail = f"the smaller of accuracy and call accuracy is {weakest:.3f}, minimum {minimum:.3f}"
    return Look(weakest, minimum, weakest >= minimum - _ROUNDING, detail if enabled else f"{detail} (gate switched off)", enabled)


def _silent(case: Case) -> Look:
    ours, silent = case.candidate.metrics.accuracy, case.candidate.metrics.silent.accuracy
    return Look(ours, silent, ours > silent + _ROUNDING, f"accuracy {ours:.3f}, never calling scores {silent:.3f}")


def _always_calling(case: Case) -> Look:
    ours, always = case.candidate.metrics.accuracy, case.candidate.metrics.always_calling.accuracy
    return Look(
        ours, always, ours > always + _ROUNDING, f"accuracy {ours:.3f}, always calling the first tool scores {always:.3f}"
    )


PLAIN_GATES: tuple[Gate, ...] = (
    PlainGate("data", "no_data", "hold", _data, precondition=True),
    PlainGate("comparable", "not_comparable", "hold", _comparable, precondition=True),
    PlainGate("errors", "mostly_errors", "hold", _errors, precondition=True),
    PlainGate("min_runs", "not_enough_runs", "hold", _min_runs, precondition=True),
    PlainGate("baseline_min_runs", "baseline_not_enough_runs", "hold", _baseline_min_runs, precondition=True),
    PlainGate("no_regression", "regression", "reject", _no_regression),
    PlainGate("restraint", "low_restraint", "reject", _restraint),
    PlainGate("extended_minimum", "extended_minimum", "reject", _extended),
    PlainGate("beats_silent", "not_above_silent", "reject", _silent),
    PlainGate("beats_always_calling", "not_above_always_calling", "reject", _always_calling),
    PlainGate("variance", "high_variance", "hold", _variance),
    PlainGate("ceiling", "ceiling", "hold", _ceiling),
    PlainGate("promote_margin", "below_margin", "hold", _margin),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """The gates in the order in which they are asked, and what a sequential evidence gate has gathered so far."""

    gates: tuple[Gate, ...] = PLAIN_GATES
    evidence: EvidenceState = field(default_factory=EvidenceState)


PLAIN_POLICY = Policy()
