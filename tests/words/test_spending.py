"""What looks cost, in words."""

from __future__ import annotations

from selfopt.records import AlphaSpent, LookCost
from selfopt.words.spending import cost_text, spent_text

FIRST = LookCost(purpose="search", number=1, total=0.05, spent_before=0, alpha=0.025, candidates=8, screened=200, compared=200)
LATER = LookCost(
    purpose="heldout", number=2, total=0.05, spent_before=0.025, alpha=0.05 / 6, compared=200, earlier_looks=3, earlier_passes=1, history=0.05
)  # fmt: skip


def test_a_race_after_a_screening_says_that_ranking_costs_nothing() -> None:
    """What was spent and is left, and who raced."""
    spent, raced = cost_text(FIRST)
    assert spent.endswith("spent 0.025 of the chance of error of 0.05; 0 was spent before, 0.025 is left for all later ones")
    assert "8 finalists of 200 candidates raced on fresh replies" in raced


def test_a_later_look_tells_what_the_verdicts_before_it_take() -> None:
    """How many candidates were compared, how often the prompts were looked at, and the part that is left."""
    spent, compared, history = cost_text(LATER)
    assert "look 2" in spent
    assert "0.0167 is left" in spent
    assert compared.startswith("held out: 200 candidates had been compared on the search prompts, deterministic ones too")
    assert "looked at 3 times, and passed once" in history
    assert "has 0.05 of what is spent" in history
    assert spent_text(LATER) == "2 looks at held-out prompts spent 0.0333 of 0.05"
    assert spent_text(FIRST) == "1 race over search prompts spent 0.025 of 0.05"


def test_a_decision_keeps_what_a_look_cost() -> None:
    """Without who took it and when."""
    ids = {"spending_id": AlphaSpent.make_id("race-1"), "family": "f", "model": "m", "phase": "atomic", "suite_hash": "s"}
    spent = AlphaSpent.model_validate({**FIRST.model_dump(), **ids, "spec_ids": ("spec-1",), "at": "2026-01-01T00:00:00.000Z"})
    assert spent.spending_id == "spent-race-1"
    assert spent.cost() == FIRST
    assert type(spent.cost()) is LookCost
