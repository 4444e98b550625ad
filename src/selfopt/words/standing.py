"""Sentences about where a model stands in a phase, what follows, and who may take over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from selfopt.home import counted
from selfopt.records import Phase, PolicyThresholds, ServeWhen

from .evidence import on_prompts
from .thresholds import share_text

Basis = Literal[
    "not_measured",
    "refused",
    "not_read",
    "gate_off",
    "unclear",
    "misses",
    "meets",
    "meets_weakly",
    "above_doing_nothing",
    "not_above_doing_nothing",
    "never_holds_back",
]
"""What a judgment rests on.

`refused`: the server says why it does not serve it.
`not_read`: it fails only because of calls that nobody read, or that stand in the thinking alone.
`meets_weakly`: it reaches the minimum, but not the recommended figure. `never_holds_back`: it would be
allowed, but calls a tool each time that none is wanted.
"""
_SAID = 160  # characters of a server's words that a sentence shows
Unfit = Literal[
    "remote", "withdrawn", "not_measured", "not_comparable", "unclear", "not_allowed", "no_better", "no_better_than_silence"
]
"""Why a model cannot be a fallback."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The figures of a standing that sentences name. Shares are in [0, 1].

    Attributes:
        runs: None if the spec is deterministic.
        silent: the accuracy of a policy that never calls a tool.
        always_calling: the accuracy of a policy that always calls the first tool.
        unread: how many trials have a call that was not read, or that stands in the thinking alone.
        restraint: None if no prompt asks for it.
        no_call_trials: how many trials ask for it.
        uninvited: in how many of these a tool was called.
        refused: the share of trials that the server refused, naming the cause; part of error_share.
        said: its words.
        synthetic: a model or a template wrote the prompts.
    """

    phase: Phase
    variant: str
    accuracy: float
    call_accuracy: float | None
    trials: int
    runs: int | None
    error_share: float
    silent: float
    always_calling: float
    unread: int = 0
    restraint: float | None = None
    no_call_trials: int = 0
    uninvited: int = 0
    refused: float = 0.0
    said: str = ""
    synthetic: bool = False


def shares_text(shown: Shown) -> str:
    """Accuracy and call accuracy."""
    calls = "" if shown.call_accuracy is None else f", call accuracy {shown.call_accuracy:.3f}"
    return on_prompts(f"accuracy {shown.accuracy:.3f}{calls}", synthetic=shown.synthetic)


def standing_text(shown: Shown) -> str:
    """Accuracy and call accuracy, and how many trials and runs they rest on."""
    repeats = "deterministic" if shown.runs is None else f"{counted(shown.runs, 'run')}"
    return f"{shares_text(shown)} ({shown.variant}, {counted(shown.trials, 'trial')}, {repeats})"


def judgment_text(basis: Basis, shown: Shown, thresholds: PolicyThresholds) -> str:
    """Why a model may or may not serve a phase, or why that is not known."""
    stands = standing_text(shown)
    minimum = f"the minimum of {thresholds.minimum_of(shown.phase):.3f} ({shown.phase}_phase_min_accuracy)"
    recommended = f"{thresholds.extended_phase_recommended_accuracy:.3f} (extended_phase_recommended_accuracy)"
    nothing = f"never calling a tool scores {shown.silent:.3f}, always calling the first one {shown.always_calling:.3f}"
    texts: dict[Basis, str] = {
        "not_measured": f"{shown.error_share:.0%} of {shown.trials} trials never reached the model, so it was not measured",
        "refused": f'the server refused {shown.refused:.0%} of {shown.trials} trials (it says "{shown.said[:_SAID]}"), so nothing '
        "is known about the model",
        "not_read": f"{stands}; in {counted(shown.unread, 'reply')} a call was not read, or stands in the "
        f"thinking alone, so nothing is known about {minimum}",
        "gate_off": f"{stands}; the extended gate is switched off, so every measured model is allowed",
        "unclear": f"{stands}: not enough data to compare with {minimum}; measure at least {counted(thresholds.min_runs, 'run')}",
        "misses": f"{stands} misses {minimum}",
        "meets": f"{stands} meets {minimum}",
        "meets_weakly": f"{stands} meets {minimum} but not the recommended {recommended}",
        "above_doing_nothing": f"{stands} misses {minimum} but is above doing nothing ({nothing})",
        "not_above_doing_nothing": f"{stands} misses {minimum} and is not above doing nothing ({nothing})",
        "never_holds_back": f"{stands} calls a tool each time that none is wanted ({shown.uninvited} of {shown.no_call_trials} trials)",
    }
    return texts[basis]


def exception_text(shown: Shown, thresholds: PolicyThresholds) -> str:
    """The word without which a model of little restraint is not allowed."""
    return (
        f"allowed as an exception: its restraint of {shown.restraint or 0.0:.3f} is below {thresholds.restraint_min:.3f} "
        "(restraint_min), so it calls tools uninvited"
    )


def fallback_text(candidate: str, shown: Shown) -> str:
    """Why a model may take over as a fallback."""
    return f"{candidate} has {standing_text(shown)} on the same suite"


def escalate_text(model: str, phase: Phase, when: ServeWhen, fallback: str, why: str) -> str:
    """Why a model serves what it is sure of, who serves the rest, and why that one may (`fallback_text`)."""
    bound = when.bound
    kept = f"{bound.bad} of {bound.served} served answers are wrong, at most {share_text(bound.upper)} at {share_text(bound.confidence)} confidence"
    return (
        f"{model} on {phase} may serve what it is sure of: from a confidence of {when.least:.3f} on, {bound.served} of {bound.n} "
        f"answers of the calibration are served, and {kept} ({share_text(bound.max_bad_share)} is allowed); the rest goes to {fallback}: {why}"
    )


def unfit_text(candidate: str, why: Unfit, detail: str) -> str:
    """Why a model may not take over. detail: the suite, the judgment, or its accuracy."""
    texts: dict[Unfit, str] = {
        "remote": "is remote and allow_remote is off",
        "withdrawn": "did no better when it was last measured in that place",
        "not_measured": f"was not measured on {detail}",
        "not_comparable": "was measured on other prompts or judged by another scorer",
        "unclear": f"is not known well enough ({detail})",
        "not_allowed": f"is itself not allowed ({detail})",
        "no_better": f"is no better (accuracy {detail})",
        "no_better_than_silence": f"is no better than a model that never calls a tool ({detail})",
    }
    return f"{candidate} {texts[why]}"


def disabled_text(subject: str, fallback: str, *, known: bool) -> str:
    """Why a model may not serve a phase, and who serves instead. known: whether anybody does."""
    return f"{subject}; " + (f"fallback: {fallback}" if known else f"refused, because there is no fallback: {fallback}")


def stronger_text(model: str, phase: Phase, shown: Shown, fallback: str, *, known: bool) -> str:
    """Why a stronger model is recommended, and which one. known: whether there is one."""
    ending = f"a stronger one: {fallback}" if known else f"no stronger one is known: {fallback}"
    return f"{model} on {phase} is weak ({shares_text(shown)}); {ending}"
