"""What a check says, in sentences."""

from __future__ import annotations

import typing

import pytest

from selfopt.records import CheckFigure, CheckMethod, CheckVerdict, Criterion, UndecidedCause
from selfopt.words.checks import CAUSES, CHECK_VERDICTS, CRITERIA, METHODS, figure_text, points_of, verdict_text
from tests.ledger.check_samples import check_record


def test_every_verdict_criterion_method_and_cause_has_its_words() -> None:
    """None is shown by its name in the code."""
    for kind, words in ((CheckVerdict, CHECK_VERDICTS), (Criterion, CRITERIA), (CheckMethod, METHODS), (UndecidedCause, CAUSES)):
        assert set(map(str, words)) == set(typing.get_args(kind))
        assert not any("_" in text for text in words.values())


@pytest.mark.parametrize(("value", "text"), [(0.05, "+5.0 points"), (-0.0001, "+0.0 points"), (-0.034, "-3.4 points")])
def test_points_have_no_negative_zero(value: float, text: str) -> None:
    """What rounds to nothing is nothing."""
    assert points_of(value) == text


def test_synthetic_prompts_are_named() -> None:
    """Beside every figure that rests on them."""
    assert "on synthetic prompts" in verdict_text(check_record(synthetic=True))
    assert "synthetic" not in verdict_text(check_record())


def test_a_figure_without_answers_says_so() -> None:
    """No number is made up."""
    figure = CheckFigure(
        criterion="restraint", verdict="undecided", method="one_arm", value=None, threshold=0.8, alpha=0.01, asked=0
    )
    assert figure_text(figure) == "-; at least 80.0 % is asked for"
