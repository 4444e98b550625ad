"""What is said of remedies in force: what was measured before and now, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.records import Evaluation, RemedyCheck
from selfopt.words.findings import check_text, fallback_checked, idle_text, variant_checked, warm_up_checked, withdrawn_text
from tests.feedback.world import evaluation
from tests.ledger import samples

COLD = evaluation(["WP"] * 4)
WARM = evaluation(["PP"] * 4, number=2, warm_up=True)


def check(helped: bool | None, withdrawn: bool = False) -> RemedyCheck:
    """A warm-up that was looked at."""
    return RemedyCheck(
        recommendation_id="rec-1",
        model="m",
        phase="atomic",
        claim="warm_up",
        before=900.0,
        after=70.0,
        helped=helped,
        withdrawn=withdrawn,
        detail="first call 900 -> 70 ms",
    )


@pytest.mark.parametrize(
    ("helped", "withdrawn", "says"),
    [
        (True, False, "helped"),
        (None, False, "not decided"),
        (False, True, "did not help, withdrawn"),
        (False, False, "did not help, it stays"),
    ],
)
def test_what_came_of_a_remedy_is_said_in_one_line(helped: bool | None, withdrawn: bool, says: str) -> None:
    """With the figures behind it."""
    assert check_text(check(helped, withdrawn)) == f"m atomic: warm_up: {says} (first call 900 -> 70 ms)"


def test_a_withdrawal_says_why() -> None:
    """The rule's reason keeps it."""
    assert withdrawn_text(check(False, True)) == (
        "m on atomic: warm_up did not help (first call 900 -> 70 ms); withdrawn, no warm-up"
    )


def test_a_variant_is_compared_with_what_it_replaced() -> None:
    """And a changed suite is no comparison."""
    assert variant_checked(COLD, WARM, alike=True) == "accuracy 50% -> 100% with native_api and warm-up"
    assert variant_checked(COLD, COLD, alike=False).endswith("with native_api; the suite or the scorer has changed in between")
    assert fallback_checked(COLD, evaluation(["PP"] * 4, model="local/big")) == "accuracy 50% -> 100% served by local/big"


def told(now: Evaluation = WARM, problem: str | None = None, **more: Any) -> str:
    """What is said of a warm-up."""
    values: dict[str, Any] = {"experiment": None, "by_hand": False} | more
    return warm_up_checked(COLD, now, (900.4, 70.4), problem, values["experiment"], by_hand=values["by_hand"])


def test_a_warm_up_is_told_by_the_first_call_and_by_accuracy_where_that_rose() -> None:
    """Of two variants, by what lies over their own medians."""
    assert told() == "first call 900 -> 70 ms, accuracy 50% -> 100%"
    assert told(COLD) == "first call 900 -> 70 ms"
    other = WARM.model_copy(update={"variant": "restrained"})
    assert told(other) == "first call 900 -> 70 ms over the median; the cold one was native_api's"


def test_what_else_is_known_of_a_warm_up_follows() -> None:
    """Why it shows nothing, what an experiment says, and that a person set it."""
    assert idle_text(None) == "the warm-up was not recorded"
    text = told(COLD, "the warm-up was skipped", experiment=samples.experiment(), by_hand=True)
    assert text.startswith("first call 900 -> 70 ms; the warm-up was skipped; the experiment: confirmed (Bayes factor ")
    assert text.endswith("; the rule was set by hand and stays")
