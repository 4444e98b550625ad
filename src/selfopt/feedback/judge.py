"""Decides whether a model may serve a phase, and which model serves instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfopt.records import Confidence, Phase, PolicyThresholds, Remedy
from selfopt.stats import Interval, wilson_interval
from selfopt.words.standing import Basis, Unfit, exception_text, fallback_text, judgment_text, unfit_text

from .comparable import is_exact
from .standing import FeedbackOptions, Standing

# Below this share of transport errors, the other trials still say something, as in the plain gates.
_MAX_ERROR_SHARE = 0.5
_ROUNDING = 1e-9
_ALLOWED: Mapping[Basis, bool | None] = {
    "not_measured": None,
    "refused": None,
    "not_read": None,
    "gate_off": True,
    "unclear": None,
    "misses": False,
    "meets": True,
    "meets_weakly": True,
    "above_doing_nothing": True,
    "not_above_doing_nothing": False,
    "never_holds_back": False,
}
_RESTRAINT_TRIALS = 3  # below so few, none held back may be chance
_WEAK: frozenset[Basis] = frozenset({"meets_weakly", "above_doing_nothing"})


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a model may serve a phase.

    Attributes:
        allow: None if there is not enough data.
        stronger: whether a stronger model is recommended.
        why: the reason in words, with figures.
    """

    allow: bool | None
    stronger: bool
    why: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Fallback:
    """The model that may take over (None if there is none), and why this one and not the others."""

    model: str | None
    why: str
    evidence: tuple[str, ...] = ()


def judge(standing: Standing, thresholds: PolicyThresholds) -> Permission:
    """Judges a model by the thresholds of its phase.

    - Extended: a model below `extended_phase_min_accuracy` is not allowed. Below
      `extended_phase_recommended_accuracy` it is allowed, and a stronger model is recommended.
    - Atomic: a model that reaches `atomic_phase_min_accuracy` is allowed. Below it, a model that
      beats the silent and the always-calling policy is allowed, and a stronger one is recommended.
      Any other model is not allowed.

    A model that calls a tool each time that none is wanted is not allowed. One whose restraint is
    below `restraint_min` is allowed as an exception, which the reason names, and a stronger one is
    recommended.

    Accuracy and call accuracy must both reach the minimum. With fewer than `min_runs` runs of a
    spec that is not known to be deterministic, the whole 95 % interval must lie on one side of it;
    otherwise allow is None. It is also None where a model would not be refused if every call that
    was not read were right.
    """
    weak = min(share for share, _ in _shares(standing)) < thresholds.extended_phase_recommended_accuracy - _ROUNDING
    basis = _basis(standing, thresholds, weak=weak)
    if (
        _ALLOWED[basis] is False
        and standing.shown.unread
        and _ALLOWED[_basis(standing.if_read(), thresholds, weak=weak)] is not False
    ):
        basis = "not_read"
    unrestrained = _ALLOWED[basis] is True and _calls_uninvited(standing, thresholds)
    if unrestrained and basis != "gate_off" and _never_holds_back(standing):
        basis = "never_holds_back"
    allow = _ALLOWED[basis]
    confidence: Confidence = "low" if allow is None else _confidence(standing, thresholds)
    stronger = basis in _WEAK or (basis == "gate_off" and weak)
    why = judgment_text(basis, standing.shown, thresholds)
    if allow and unrestrained:
        return Permission(allow, True, f"{why}; {exception_text(standing.shown, thresholds)}", confidence)
    return Permission(allow, stronger, why, confidence)


def _calls_uninvited(standing: Standing, thresholds: PolicyThresholds) -> bool:
    restraint = standing.shown.restraint
    return restraint is not None and restraint < thresholds.restraint_min - _ROUNDING


def _never_holds_back(standing: Standing) -> bool:
    """Whether it called a tool in every trial that wants none."""
    shown = standing.shown
    return shown.uninvited == shown.no_call_trials >= _RESTRAINT_TRIALS


def _basis(standing: Standing, thresholds: PolicyThresholds, *, weak: bool) -> Basis:
    shown, extended = standing.shown, standing.newest.phase == "extended"
    if shown.error_share >= _MAX_ERROR_SHARE:
        return "refused" if 2 * shown.refused >= shown.error_share else "not_measured"
    if extended and not thresholds.extended_gate_enabled:
        return "gate_off"
    meets = _meets(standing, thresholds)
    if meets is None:
        return "unclear"
    if extended:
        return "misses" if not meets else "meets_weakly" if weak else "meets"
    if meets:
        return "meets"
    above = shown.accuracy > max(shown.silent, shown.always_calling) + _ROUNDING and shown.call_accuracy != 0
    return "above_doing_nothing" if above else "not_above_doing_nothing"


def _enough(standing: Standing, thresholds: PolicyThresholds) -> bool:
    return standing.shown.runs is None or standing.shown.runs >= thresholds.min_runs


def _shares(standing: Standing) -> list[tuple[float, int]]:
    """Accuracy and, if there is one, call accuracy, each with its number of trials."""
    pairs = ((standing.shown.accuracy, standing.shown.trials), (standing.shown.call_accuracy, standing.call_trials))
    return [(share, n) for share, n in pairs if share is not None]


def _intervals(standing: Standing) -> list[Interval]:
    return [wilson_interval(min(n, round(share * n)), n) for share, n in _shares(standing)]


def _meets(standing: Standing, thresholds: PolicyThresholds) -> bool | None:
    """Whether accuracy and call accuracy reach the minimum; None if there is not enough data."""
    minimum = thresholds.minimum_of(standing.newest.phase)
    if _enough(standing, thresholds):
        return all(share >= minimum - _ROUNDING for share, _ in _shares(standing))
    if any(i.high < minimum for i in _intervals(standing)):
        return False
    return True if all(i.low >= minimum for i in _intervals(standing)) else None


def _confidence(standing: Standing, thresholds: PolicyThresholds) -> Confidence:
    minimum = thresholds.minimum_of(standing.newest.phase)
    if is_exact(standing.newest):
        return "exact"
    if not _enough(standing, thresholds):
        return "low"
    return "medium" if any(i.low < minimum <= i.high for i in _intervals(standing)) else "high"


def choose_fallback(
    standing: Standing,
    all_standings: Mapping[tuple[str, Phase], Standing],
    options: FeedbackOptions,
) -> Fallback:
    """The first candidate, in the order of preference, that may replace the model.

    It was measured on the reference suite of the phase, is itself allowed, beats the model that it
    replaces and the policy that never calls, and does not take private prompts off this machine without consent.
    """
    model, phase = standing.newest.model, standing.newest.phase
    refused: list[str] = []
    for candidate in dict.fromkeys(options.fallbacks.get(phase, ())):
        if candidate == model:
            continue
        other = all_standings.get((candidate, phase))
        unfit = _unfit(standing, candidate, other, options)
        if unfit is None and other is not None:
            return Fallback(candidate, fallback_text(candidate, other.shown), other.evidence)
        refused += [unfit_text(candidate, *unfit)] if unfit is not None else []
    return Fallback(None, "; ".join(refused) if refused else "no fallback candidate is set for this phase")


def _unfit(standing: Standing, candidate: str, other: Standing | None, options: FeedbackOptions) -> tuple[Unfit, str] | None:
    """Why the candidate cannot take over, with a detail; None if it can."""
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
    if other.shown.accuracy <= standing.shown.accuracy + _ROUNDING:
        return "no_better", f"{other.shown.accuracy:.3f}"
    if other.shown.accuracy <= other.shown.silent + _ROUNDING:
        return "no_better_than_silence", f"accuracy {other.shown.accuracy:.3f}, silence {other.shown.silent:.3f}"
    return None
