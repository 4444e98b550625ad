"""Proposers that need something: points of other models, and Optuna."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.records import Capability
from selfopt.search import SEARCHERS, Given, Objective, Search, SearchPlan
from selfopt.search.proposers.tpe import Optuna, suggested
from selfopt.search.proposers.transfer import Transfer
from selfopt.simulate.search_worlds import WORLD_PARTS
from selfopt.variants.space import Point, possible, ways
from tests.search.kit import PROMPTS, archive_of, marked, played

ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema"})


def given_of(looks: int, has: frozenset[Capability] = ALL, seed: int = 3) -> Given:
    """What a search hands to its proposers after so many looks."""
    space = tuple(ways(has, parts=WORLD_PARTS))
    return Given(archive_of(space, looks, seed), space, has, random.Random(seed))


def test_points_of_other_models_come_in_their_order() -> None:
    """Each once. What the space does not know any more and what the server can't take is passed over."""
    points: tuple[Point, ...] = (
        {"tools": "of earlier days"},
        {"tools": "brief", "form": "grammar", "backing": "strict"},
        {"tools": "brief", "backing": "strict"},
        {"tools": "schemas"},
    )
    has: frozenset[Capability] = frozenset({"tools"})
    search = Search(SearchPlan(PROMPTS, has), Objective(), {"transfer": Transfer(points)})
    batches = played(search, lambda batch: marked(lambda *_: 0.5, batch.asking, batch.prompts), 6)
    begun = [batch.asking for batch in batches if batch.by == "transfer" and batch.prompts[0] == PROMPTS[0]]
    assert begun == [{"tools": "brief"}, {"tools": "schemas"}]


@given(st.frozensets(st.sampled_from(sorted(ALL))), st.integers(0, 999))
def test_parts_are_chosen_one_after_another_without_contradiction(has: frozenset[Capability], seed: int) -> None:
    """Every point that comes out can be asked, unless a choice needs one that the server lacks."""
    rng = random.Random(seed)
    seen: dict[str, list[str]] = {}

    def suggest(name: str, allowed: list[str]) -> str:
        assert len(allowed) > 1
        assert seen.setdefault(name, allowed) == allowed
        return rng.choice(allowed)

    points = [suggested(suggest, has, reads=True) for _ in range(10)]
    assert all(possible(point, has) for point in points if "steps" not in point)


def test_optuna_proposes_the_same_for_the_same_archive() -> None:
    """What can be asked and was not begun, with and without marks."""
    pytest.importorskip("optuna")
    for looks in (0, 14):
        one, other = (Optuna().propose(given_of(looks)) for _ in range(2))
        assert one is not None
        assert one == other
        assert possible(one.asking, ALL)


def test_optuna_searches_among_the_others() -> None:
    """Its proposals are asked."""
    pytest.importorskip("optuna")
    search = Search(SearchPlan(PROMPTS, ALL, rungs=(6,)), Objective(), {"optuna": Optuna(), "random": SEARCHERS.all()["random"]})
    batches = played(search, lambda batch: marked(lambda asking, _: 0.1 * len(asking), batch.asking, batch.prompts), 25)
    assert {batch.by for batch in batches} == {"start", "optuna", "random"}


def test_without_optuna_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[search\]'"):
        Optuna()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 99))
def test_children_are_made_of_their_parents(seed: int) -> None:
    """Every choice of a child is one of the six best's."""
    given_now = given_of(10, seed=seed)
    child = SEARCHERS.all()["crossover"].propose(given_now)
    assert child is not None
    best = [standing.point for standing in given_now.archive.ranking()[:6]]
    assert all(any(point.get(name) == choice for point in best) for name, choice in child.asking.items())
