"""Who looks at held-out results by hand spends a look, and what was decided before stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from selfopt.records import Decision, PromptTest
from selfopt.verbs.deciding import explained_decision
from selfopt.verbs.measuring import MeasureRequest, measure_model

from .kit import World
from .race_kit import M, sample_suite, steady, with_suite
from .test_searching import read
from .test_spending import TOWNS, searched, spent

Make = Callable[..., World]


async def look(world: World, **asked: object) -> None:
    """Measure by hand."""
    with world.app() as app:
        await measure_model(app, MeasureRequest(model=M, phase="atomic", **{"variant": "native_api", **asked}))  # type: ignore[arg-type]


def small(world: Make) -> World:
    """A model that a restraint sentence helps."""
    return with_suite(world(m=steady(TOWNS[:10], TOWNS)), sample_suite(40, 100))


async def test_a_look_by_hand_is_charged_when_the_next_one_is_taken(world: Make) -> None:
    """The loop's look is the second one then, at a smaller share, and its decision says so."""
    w = small(world)
    await look(w, split="heldout")
    assert spent(w) == []
    decision = await searched(w, 200)
    by_hand, mine = spent(w)
    assert (by_hand.number, by_hand.alpha, by_hand.cycle_id, by_hand.by_hand) == (1, 0.025, None, 1)
    assert (mine.number, mine.spent_before, mine.by_hand, mine.earlier_looks) == (2, 0.025, 1, 1)
    assert mine.alpha == pytest.approx(0.05 / 6)
    (test,) = read(w, PromptTest)
    assert test.alpha == pytest.approx(0.05 / 6 * 0.8)
    with w.app() as app:
        _, account, _ = explained_decision(app, decision.decision_id)
    assert any("1 look of these was taken by hand" in line for line in account.costs)


async def test_passes_of_one_command_are_one_look_and_each_command_is_one(world: Make) -> None:
    """Search prompts can be looked at as often as one likes; a part of the held-out ones is a look."""
    w = small(world)
    await look(w)
    await look(w, split="heldout", limit=3)
    await look(w, split="all")
    await searched(w, 200)
    assert [(one.number, one.by_hand) for one in spent(w)] == [(1, 1), (2, 1), (3, 2)]


async def test_a_look_after_a_decision_changes_nothing_of_it(world: Make) -> None:
    """It stands on what it recorded; only the next look has less."""
    w = small(world)
    decision = await searched(w, 200)
    before = spent(w)
    await look(w, split="heldout")
    assert spent(w) == before
    assert read(w, Decision)[-1] == decision
    with w.app() as app:
        assert explained_decision(app, decision.decision_id)[0] == decision
