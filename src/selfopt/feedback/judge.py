"""May this model serve this phase? And who serves it instead?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfopt.records import Confidence, Phase, PolicyThresholds, Remedy
from selfopt.stats import wilson_interval
from selfopt.words.standing import Basis, Unfit, fallback_text, judgment_text, unfit_text

from .options import FeedbackOptions
from .standing import Standing

__all__ = ["Fallback", "Permission", "choose_fallback", "judge"]

# As in the plain gates: below this share of transport errors the rest still says something.
_MAX_ERROR_SHARE = 0.5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Permission:
    """allow None: not enough data to say. stronger: a stronger model is recommended. why: in words, with figures."""

    allow: bool | None
    stronger: bool
    why: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Fallback:
    """Who may take over (None: nobody), why, and why not the others."""

    model: str | None
    why: str
    evidence: tuple[str, ...] = ()


def judge(standing: Standing, thresholds: PolicyThresholds) -> Permission:
    """The phase's rule applied to a standing.

    Extended: below `extended_phase_min_accuracy` not allowed; below `extended_phase_recommended_accuracy` allowed with a
    stronger model recommended. Atomic: from `atomic_phase_min_accuracy` on allowed; below it, allowed with a stronger model
    recommended if above the silent and the always-calling policy, else not. The minima bind accuracy and call accuracy.
    With fewer than `min_runs` runs of a spec that is not known to be deterministic, only a share whose whole 95 % interval
    lies on one side counts; otherwise allow is None.
    """
    if standing.error_share >= _MAX_ERROR_SHARE:
        return _permission(standing, thresholds, "not_measured", allow=None)
    if standing.newest.phase == "extended":
        return _judge_extended(standing, thresholds)
    return _judge_atomic(standing, thresholds)


def _permission(
    standing: Standing, thresholds: PolicyThresholds, basis: Basis, *, allow: bool | None, stronger: bool = False
) -> Permission:
    minimum = thresholds.minimum_of(standing.newest.phase)
    confidence: Confidence = "low" if allow is None else _confidence(standing, minimum, thresholds)
    return Permission(allow, stronger, judgment_text(basis, standing.shown(), thresholds), confidence)


def _judge_extended(standing: Standing, thresholds: PolicyThresholds) -> Permission:
    weak = _weakest(standing) < thresholds.extended_phase_recommended_accuracy - _ROUNDING
    if not thresholds.extended_gate_enabled:
        return _permission(standing, thresholds, "gate_off", allow=True, stronger=weak)
    meets = _meets(standing, thresholds.extended_phase_min_accuracy, thresholds)
    if meets is None:
        return _permission(standing, thresholds, "unclear", allow=None)
    if not meets:
        return _permission(standing, thresholds, "misses", allow=False)
    return _permission(standing, thresholds, "meets_weakly" if weak else "meets", allow=True, stronger=weak)


def _judge_atomic(standing: Standing, thresholds: PolicyThresholds) -> Permission:
    meets = _meets(standing, thresholds.atomic_phase_min_accuracy, thresholds)
    if meets is None:
        return _permission(standing, thresholds, "unclear", allow=None)
    if meets:
        return _permission(standing, thresholds, "meets", allow=True)
    metrics = standing.newest.metrics
    best_of_nothing = max(metrics.silent.accuracy, metrics.always_calling.accuracy)
    if standing.accuracy > best_of_nothing + _ROUNDING and standing.call_accuracy != 0:
        return _permission(standing, thresholds, "above_doing_nothing", allow=True, stronger=True)
    return _permission(standing, thresholds, "not_above_doing_nothing", allow=False)


def _weakest(standing: Standing) -> float:
    return standing.accuracy if standing.call_accuracy is None else min(standing.accuracy, standing.call_accuracy)


def _enough(standing: Standing, thresholds: PolicyThresholds) -> bool:
    return standing.deterministic or standing.runs >= thresholds.min_runs


def _shares(standing: Standing) -> list[tuple[float, int]]:
    calls = [] if standing.call_accuracy is None else [(standing.call_accuracy, standing.call_n)]
    return [(standing.accuracy, standing.n), *calls]


def _meets(standing: Standing, minimum: float, thresholds: PolicyThresholds) -> bool | None:
    """None: not enough data to say."""
    if _enough(standing, thresholds):
        return _weakest(standing) >= minimum - _ROUNDING
    intervals = [wilson_interval(min(n, round(share * n)), n) for share, n in _shares(standing)]
    if any(i.high < minimum for i in intervals):
        return False
    return True if all(i.low >= minimum for i in intervals) else None


def _confidence(standing: Standing, minimum: float, thresholds: PolicyThresholds) -> Confidence:
    if standing.exact:
        return "exact"
    if not _enough(standing, thresholds):
        return "low"
    intervals = [wilson_interval(min(n, round(share * n)), n) for share, n in _shares(standing)]
    return "medium" if any(i.low < minimum <= i.high for i in intervals) else "high"


def choose_fallback(
    standing: Standing,
    all_standings: Mapping[tuple[str, Phase], Standing],
    options: FeedbackOptions,
) -> Fallback:
    """The first candidate, in the given order, that was measured on the phase's reference suite, is itself allowed, beats
    the model it replaces, and does not take private prompts off the machine without consent."""
    model, phase = standing.newest.model, standing.newest.phase
    refused: list[str] = []
    for candidate in dict.fromkeys(options.fallbacks.get(phase, ())):
        if candidate == model:
            continue
        other = all_standings.get((candidate, phase))
        unfit = _unfit(standing, candidate, other, options)
        if unfit is None and other is not None:
            return Fallback(candidate, fallback_text(candidate, other.shown()), other.evidence)
        refused += [unfit_text(candidate, *unfit)] if unfit is not None else []
    return Fallback(None, "; ".join(refused) if refused else "no fallback candidate is set for this phase")


def _unfit(standing: Standing, candidate: str, other: Standing | None, options: FeedbackOptions) -> tuple[Unfit, str] | None:
    """Why the candidate can't take over, with the detail that is told of it; None when it can."""
    model, phase = standing.newest.model, standing.newest.phase
    if not options.allow_remote and options.is_local(model) and not options.is_local(candidate):
        return "remote", ""
    if Remedy(model, phase, "fallback", candidate) in options.withdrawn:
        return "withdrawn", ""
    if other is None:
        reference = options.references.get(phase)
        return "not_measured", reference.name if reference else phase
    if not standing.comparable_with(other):
        return "not_comparable", ""
    judgment = judge(other, options.thresholds)
    if not judgment.allow:
        return "unclear" if judgment.allow is None else "not_allowed", judgment.why
    if other.accuracy <= standing.accuracy + _ROUNDING:
        return "no_better", f"{other.accuracy:.3f}"
    return None
