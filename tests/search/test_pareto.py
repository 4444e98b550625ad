"""Points for reflection are drawn by the prompts that they are best on."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.search import Archive, Objective, ReplyMark
from selfopt.search.pareto import drawn, fronts
from selfopt.variants.space import Point, ways
from tests.search.kit import archive_of

A: Point = {"tools": "signatures"}
B: Point = {"tools": "brief"}
C: Point = {"tools": "schemas"}
WAYS = tuple(ways(frozenset()))


def archive(**right: str) -> Archive:
    """Ways to ask and the prompts that each is right about, of a to f."""
    found = Archive(Objective())
    for name, prompts in right.items():
        look = found.begin({"A": A, "B": B, "C": C}[name], "start")
        found.add(look, {"": {one: ReplyMark(one in prompts, True, True) for one in "abcdef"}})
        look.asked = 6
    return found


def test_a_point_counts_for_the_prompts_that_it_is_best_on() -> None:
    """One that others cover on all of them is left out, though it is better than one that stays."""
    assert fronts(archive(A="abcd", B="ef", C="de")) == {"tools=brief": 2, "tools=signatures": 4}


def test_of_equals_one_stays() -> None:
    """So that a prompt is not counted twice."""
    assert list(fronts(archive(A="abc", B="abc")).values()) == [3]


def test_points_are_drawn_in_proportion() -> None:
    """Four prompts against two, within five deviations."""
    found, rng = archive(A="abcd", B="ef"), random.Random(1)
    counts = Counter(str(point.point) for _ in range(900) if (point := drawn(found, rng)) is not None)
    assert abs(counts[str(A)] - 600) < 75
    assert counts.total() == 900


def test_where_nothing_is_right_nothing_is_drawn() -> None:
    """A prompt that nobody passes tells nothing."""
    assert drawn(archive(A="", B=""), random.Random(1)) is None
    assert drawn(Archive(Objective()), random.Random(1)) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.integers(0, 99))
def test_every_prompt_that_somebody_passes_keeps_a_point(looks: int, seed: int) -> None:
    """However points cover each other."""
    found = archive_of(WAYS, looks, seed)
    from selfopt.search import reading_text
    from selfopt.variants.space import asking_part, point_text

    right = {
        point_text(one.point): {
            p for p, mark in found.looks[point_text(asking_part(one.point))].marks[reading_text(one.point)].items() if mark.good
        }
        for one in found.ranking()
    }
    kept = fronts(found)
    assert set().union(*(right[text] for text in kept)) == set().union(*right.values())
    assert all(kept[text] == len(right[text]) for text in kept)
