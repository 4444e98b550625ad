"""Is there enough data to judge by? Until there is, the verdict is hold."""

from __future__ import annotations

from selfopt.home import counted
from selfopt.records import Evaluation, Outcome

from .base import GateCase, Look, PlainGate

MAX_ERROR_SHARE = 0.5
"""Transport errors say nothing about the spec. A smaller share may be just what a candidate with
more retries repairs."""


def _same_environment(case: GateCase, candidate: Evaluation, baseline: Evaluation) -> bool:
    """Whether no field that both environments know differs.

    The context size is the spec's choice.
    """
    if candidate.environment_id == baseline.environment_id:
        return True
    ours, theirs = (case.environments.get(side.environment_id) for side in (candidate, baseline))
    return ours is not None and theirs is not None and ours.compatible_with(theirs, ignoring=frozenset({"context_size"}))


def _differences(case: GateCase, candidate: Evaluation, baseline: Evaluation) -> list[str]:
    pairs: list[tuple[str, object, object]] = [
        ("model", candidate.model, baseline.model),
        ("phase", candidate.phase, baseline.phase),
        ("suite", candidate.suite_hash, baseline.suite_hash),
        ("split", candidate.split, baseline.split),
        ("scorer", candidate.scorer_hash, baseline.scorer_hash),
        ("environment", _same_environment(case, candidate, baseline), True),
    ]
    if not case.raced:  # a race plans the same prompts for both, and an early loser gets fewer of them
        pairs.append(("prompts", {r.prompt_id for r in candidate.rows}, {r.prompt_id for r in baseline.rows}))
    found = [name for name, ours, theirs in pairs if ours != theirs]
    return [*found, "nothing at all: it is the baseline itself"] if candidate.spec_id == baseline.spec_id else found


def _comparable(case: GateCase) -> Look | None:
    if case.baseline is None:
        return None
    different = _differences(case, case.candidate, case.baseline)
    if not different:
        return Look("same", "same", True, "same suite, split, scorer, environment and prompts as the baseline")
    return Look(", ".join(different), "same", False, f"differs from the baseline in: {', '.join(different)}")


def _data(case: GateCase) -> Look:
    n = min(side.metrics.n for side in case.sides)
    return Look(n, 1, n >= 1, f"{counted(case.candidate.metrics.n, 'trial')} judged")


def _errors(case: GateCase) -> Look:
    """What the server refuses for a cause that lasts is no transport error: that is what the spec gives there."""
    measured = [side for side in case.sides if side.metrics.n > 0]
    worst = max((max(0, s.metrics.counts.get(Outcome.ERROR, 0) - s.refused) / s.metrics.n for s in measured), default=0.0)
    refused = "".join(f"; the server refused {s.refused} of {s.metrics.n} trials of {s.variant}" for s in measured if s.refused)
    detail = f"{_share(worst)} of the trials ended in a transport error{refused}"
    return Look(worst, MAX_ERROR_SHARE, worst < MAX_ERROR_SHARE, detail)


def _share(worst: float) -> str:
    """The larger share of the two sides, in words where all or none did."""
    return {0.0: "none", 1.0: "all"}.get(worst, f"at most {worst:.1%}")


def _runs(evaluation: Evaluation, minimum: int) -> Look:
    if evaluation.has_copies:
        return Look(evaluation.n_runs, minimum, True, f"deterministic ({evaluation.determinism}): repeats would be copies")
    return Look(
        evaluation.n_runs, minimum, evaluation.n_runs >= minimum, f"{counted(evaluation.n_runs, 'run')} of at least {minimum}"
    )


def _min_runs(case: GateCase) -> Look:
    return _runs(case.candidate, case.thresholds.min_runs)


def _baseline_min_runs(case: GateCase) -> Look | None:
    return None if case.baseline is None else _runs(case.baseline, case.thresholds.min_runs)


DATA = PlainGate("data", "no_data", "hold", _data, precondition=True)
COMPARABLE = PlainGate("comparable", "not_comparable", "hold", _comparable, precondition=True)
ERRORS = PlainGate("errors", "mostly_errors", "hold", _errors, precondition=True)
# Under evidence, the evidence says how many pairs are needed.
MIN_RUNS = PlainGate("min_runs", "not_enough_runs", "hold", _min_runs, precondition=True, advises=True)
BASELINE_MIN_RUNS = PlainGate(
    "baseline_min_runs", "baseline_not_enough_runs", "hold", _baseline_min_runs, precondition=True, advises=True
)
