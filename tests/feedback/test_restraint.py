"""Restraint counts where serving is decided: none at all refuses, little is a named exception, a fallback beats silence."""

from __future__ import annotations

import pytest

from selfopt.feedback import FeedbackOptions, analyze
from selfopt.records import Evaluation, Feedback, Phase, Recommendation
from tests.feedback.world import evaluation, options

SMALL, BIG = "local/small", "local/big"


def measured(calls: str, others: str, model: str = SMALL, phase: Phase = "extended", **more: object) -> Evaluation:
    """One deterministic run: a letter for each prompt that needs a call, then one for each that needs none."""
    return evaluation([*calls, *others], model=model, phase=phase, no_call=len(others), determinism="sampled", **more)  # type: ignore[arg-type]


def gate(feedback: Feedback, model: str = SMALL) -> Recommendation:
    """The phase gate of a model."""
    (found,) = [r for r in feedback.recommendations if (r.type, r.model) == ("phase_gate", model)]
    return found


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_a_model_that_never_holds_back_may_not_serve(phase: Phase) -> None:
    """However many calls are right."""
    found = gate(analyze([measured("PPPPPPPPP", "UUU", phase=phase)], options()))
    assert found.allow is False
    assert "calls a tool each time that none is wanted (3 of 3 trials)" in found.reason


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_little_restraint_is_allowed_as_an_exception_that_the_rule_names(phase: Phase) -> None:
    """With the advice to use a stronger model."""
    feedback = analyze([measured("PPPPPPPPP", "UPU", phase=phase)], options())
    found = gate(feedback)
    assert found.allow is True
    assert "allowed as an exception: its restraint of 0.333 is below 0.800 (restraint_min)" in found.reason
    assert "prefer_stronger" in [r.action for r in feedback.recommendations]


@pytest.mark.parametrize("others", ["PPP", "PPPPU", "", "UU"], ids=["all", "0.80", "no prompt asks", "too few to tell"])
def test_restraint_enough_or_unknown_refuses_nobody(others: str) -> None:
    """Fewer than three such trials may be chance, and are an exception."""
    found = gate(analyze([measured("PPPPPPPPP", others)], options()))
    assert found.allow is True
    assert ("as an exception" in found.reason) == (others == "UU")


def test_faults_are_no_calls() -> None:
    """A server that failed on the prompts that want no call says nothing about restraint: it refuses nobody."""
    assert gate(analyze([measured("PPPPPPPPP", "TTT")], options())).allow is True


def test_with_the_extended_gate_switched_off_the_word_stays() -> None:
    """The switch allows; it does not hide."""
    thresholds = options().thresholds.model_copy(update={"extended_gate_enabled": False})
    found = gate(analyze([measured("PPPPPPPPP", "UUU")], options(thresholds=thresholds)))
    assert found.allow is True
    assert "as an exception" in found.reason


def with_fallback() -> FeedbackOptions:
    """The larger model is the candidate for a fallback."""
    return options(fallbacks={"extended": (BIG,), "atomic": (BIG,)})


def test_a_model_that_never_holds_back_is_no_fallback() -> None:
    """Not for a model that is refused either."""
    found = gate(analyze([measured("WWWWWWWWW", "PPP"), measured("PPPPPPPPP", "UUU", BIG)], with_fallback()))
    assert (found.allow, found.fallback) == (False, None)
    assert f"{BIG} is itself not allowed" in found.reason


def test_a_fallback_is_better_than_a_model_that_never_calls() -> None:
    """4 of 10 right meet the minimum of this phase, but silence has 6 of 10."""
    small, big = measured("WWWW", "UPPUUU"), measured("PPWW", "PPUPUU", BIG)
    assert big.metrics.accuracy > small.metrics.accuracy
    found = gate(analyze([small, big], with_fallback()))
    assert (found.allow, found.fallback) == (False, None)
    assert f"{BIG} is no better than a model that never calls a tool (accuracy 0.500, silence 0.600)" in found.reason
