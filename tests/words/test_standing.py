"""What is said of where a model stands names the figures, the threshold and the setting behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from selfopt.records import PolicyThresholds
from selfopt.words.standing import Basis, Shown, Unfit, disabled_text, judgment_text, standing_text, stronger_text, unfit_text

SHOWN = Shown(
    phase="extended",
    variant="native_api",
    accuracy=0.25,
    call_accuracy=None,
    trials=20,
    runs=4,
    error_share=0.5,
    silent=0.4,
    always_calling=0.1,
)


def test_a_standing_says_what_it_rests_on() -> None:
    """Trials, and runs or that repeats are copies."""
    assert standing_text(SHOWN) == "accuracy 0.250 (native_api, 20 trials, 4 runs)"
    assert standing_text(replace(SHOWN, call_accuracy=0.5, runs=None)) == (
        "accuracy 0.250, call accuracy 0.500 (native_api, 20 trials, deterministic)"
    )


@pytest.mark.parametrize("basis", get_args(Basis))
def test_every_judgment_has_a_sentence_with_a_figure(basis: Basis) -> None:
    """One line."""
    text = judgment_text(basis, SHOWN, PolicyThresholds())
    assert "\n" not in text
    assert any(character.isdigit() for character in text)


def test_the_setting_that_decides_is_named() -> None:
    """A reader finds it in the settings."""
    assert judgment_text("misses", SHOWN, PolicyThresholds()).endswith(
        "misses the minimum of 0.300 (extended_phase_min_accuracy)"
    )
    atomic = judgment_text("meets", replace(SHOWN, phase="atomic"), PolicyThresholds(atomic_phase_min_accuracy=0.2))
    assert atomic.endswith("meets the minimum of 0.200 (atomic_phase_min_accuracy)")


@pytest.mark.parametrize("why", get_args(Unfit))
def test_every_refusal_of_a_fallback_names_the_model(why: Unfit) -> None:
    """So that a list of them can be read."""
    assert unfit_text("local/big", why, "0.500").startswith("local/big ")


def test_what_happens_instead_ends_the_sentence() -> None:
    """A fallback, or a refusal."""
    assert disabled_text("m on atomic: weak", "big is better", known=True) == "m on atomic: weak; fallback: big is better"
    assert disabled_text("m on atomic: weak", "none is set", known=False).endswith(
        "; refused, because there is no fallback: none is set"
    )
    assert (
        stronger_text("m", "extended", SHOWN, "big", known=True) == "m on extended is weak (accuracy 0.250); a stronger one: big"
    )
