"""May this model serve this phase? And who serves it instead?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from selfopt.records import Confidence, Phase, PolicyThresholds
from selfopt.stats import wilson_interval

from .options import FeedbackOptions
from .standing import Standing

__all__ = ["Fallback", "Judgment", "choose_fallback", "judge"]

# As in the plain gates: below this share of transport errors the rest still says something.
_MAX_ERROR_SHARE = 0.5
_ROUNDING = 1e-9


class _Meets(Enum):
    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Judgment:
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


def judge(standing: Standing, thresholds: PolicyThresholds) -> Judgment:
    """The phase's rule applied to a standing.

    Extended: below `extended_phase_min_accuracy` not allowed; below `extended_phase_recommended_accuracy` allowed with a
    stronger model recommended. Atomic: from `atomic_phase_min_accuracy` on allowed; below it, allowed with a stronger model
    recommended if above the silent and the always-calling policy, else not. The minima bind accuracy and call accuracy.
    With fewer than `min_runs` runs of a spec that is not known to be deterministic, only a share whose whole 95 % interval
    lies on one side counts; otherwise allow is None.
    """
    if standing.error_share >= _MAX_ERROR_SHARE:
        why = f"{standing.error_share:.0%} of {standing.n} trials never reached the model, so it was not measured"
        return Judgment(None, False, why, "low")
    if standing.newest.phase == "extended":
        return _judge_extended(standing, thresholds)
    return _judge_atomic(standing, thresholds)


def _judge_extended(standing: Standing, thresholds: PolicyThresholds) -> Judgment:
    minimum, recommended = thresholds.extended_phase_min_accuracy, thresholds.extended_phase_recommended_accuracy
    weak = _weakest(standing) < recommended - _ROUNDING
    if not thresholds.extended_gate_enabled:
        why = f"{standing.figures()}; the extended gate is switched off, so every measured model is allowed"
        return Judgment(True, weak, why, _confidence(standing, minimum, thresholds))
    meets = _meets(standing, minimum, thresholds)
    confidence = _confidence(standing, minimum, thresholds)
    threshold = f"the minimum of {minimum:.3f} (extended_phase_min_accuracy)"
    if meets is _Meets.UNCLEAR:
        return _unclear(standing, threshold, thresholds)
    if meets is _Meets.NO:
        return Judgment(False, False, f"{standing.figures()} misses {threshold}", confidence)
    why = f"{standing.figures()} meets {threshold}"
    if weak:
        why += f" but not the recommended {recommended:.3f} (extended_phase_recommended_accuracy)"
    return Judgment(True, weak, why, confidence)


def _judge_atomic(standing: Standing, thresholds: PolicyThresholds) -> Judgment:
    minimum = thresholds.atomic_phase_min_accuracy
    meets = _meets(standing, minimum, thresholds)
    confidence = _confidence(standing, minimum, thresholds)
    threshold = f"the minimum of {minimum:.3f} (atomic_phase_min_accuracy)"
    if meets is _Meets.UNCLEAR:
        return _unclear(standing, threshold, thresholds)
    if meets is _Meets.YES:
        return Judgment(True, False, f"{standing.figures()} meets {threshold}", confidence)
    silent, always = standing.newest.metrics.silent.accuracy, standing.newest.metrics.always_calling.accuracy
    trivial = f"never calling a tool scores {silent:.3f}, always calling the first one {always:.3f}"
    if standing.accuracy > max(silent, always) + _ROUNDING and standing.call_accuracy != 0:
        return Judgment(True, True, f"{standing.figures()} misses {threshold} but is above doing nothing ({trivial})", confidence)
    return Judgment(
        False, False, f"{standing.figures()} misses {threshold} and is not above doing nothing ({trivial})", confidence
    )


def _unclear(standing: Standing, threshold: str, thresholds: PolicyThresholds) -> Judgment:
    why = f"{standing.figures()}: not enough data to compare with {threshold}; measure at least {thresholds.min_runs} runs"
    return Judgment(None, False, why, "low")


def _weakest(standing: Standing) -> float:
    return standing.accuracy if standing.call_accuracy is None else min(standing.accuracy, standing.call_accuracy)


def _enough(standing: Standing, thresholds: PolicyThresholds) -> bool:
    return standing.deterministic or standing.runs >= thresholds.min_runs


def _shares(standing: Standing) -> list[tuple[float, int]]:
    calls = [] if standing.call_accuracy is None else [(standing.call_accuracy, standing.call_n)]
    return [(standing.accuracy, standing.n), *calls]


def _meets(standing: Standing, minimum: float, thresholds: PolicyThresholds) -> _Meets:
    if _enough(standing, thresholds):
        return _Meets.YES if _weakest(standing) >= minimum - _ROUNDING else _Meets.NO
    intervals = [wilson_interval(min(n, round(share * n)), n) for share, n in _shares(standing)]
    if any(i.high < minimum for i in intervals):
        return _Meets.NO
    return _Meets.YES if all(i.low >= minimum for i in intervals) else _Meets.UNCLEAR


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
        problem = _problem(standing, candidate, other, options)
        if problem is None and other is not None:
            return Fallback(candidate, f"{candidate} has {other.figures()} on the same suite", other.evidence)
        refused.append(f"{candidate} {problem}")
    return Fallback(None, "; ".join(refused) if refused else "no fallback candidate is set for this phase")


def _problem(standing: Standing, candidate: str, other: Standing | None, options: FeedbackOptions) -> str | None:
    """Why the candidate can't take over; None when it can."""
    phase = standing.newest.phase
    if not options.allow_remote and options.is_local(standing.newest.model) and not options.is_local(candidate):
        return "is remote and allow_remote is off"
    if (standing.newest.model, phase, f"fallback {candidate}") in options.withdrawn:
        return "did no better when it was last measured in that place"
    if other is None:
        reference = options.references.get(phase)
        return f"was not measured on {reference.name if reference else phase}"
    if not standing.comparable_with(other):
        return "was measured on other prompts or judged by another scorer"
    judgment = judge(other, options.thresholds)
    if judgment.allow is None:
        return f"is not known well enough ({judgment.why})"
    if not judgment.allow:
        return f"is itself not allowed ({judgment.why})"
    if other.accuracy <= standing.accuracy + _ROUNDING:
        return f"is no better (accuracy {other.accuracy:.3f})"
    return None
