"""A search tells how each way ended, what nothing beats, and what each part of a point brings."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.records import Capability
from selfopt.search import Archive, Objective, ReplyMark, Search, SearchPlan, Seen, WayBatch, WayCost
from selfopt.search.account import ended, frontier, shares
from selfopt.variants.space import Point, ways

from .kit import PROMPTS, archive_of, marked, played

ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema"})
PLAN = SearchPlan(PROMPTS, ALL, rungs=(6, 15))


def by_words(asking: Point, reading: str) -> float:
    """Told to call is better; believing the strictest reading too."""
    return 0.3 + 0.3 * (asking.get("instructions") == "call") + 0.2 * ("backing=strict" in reading)


def told(batch: WayBatch) -> Seen:
    """The marks of that world."""
    return marked(by_words, batch.asking, batch.prompts)


def test_every_way_that_was_begun_has_an_end_and_the_best_is_ranked() -> None:
    """Those below the best third stayed where they were."""
    search = Search(PLAN, Objective(below=0.0, missed=0.0, restraint=0.0))
    played(search, told, 40)
    ends = {text: ended(search, look) for text, look in search.archive.looks.items()}
    assert {"ranked", "below_best"} <= set(ends.values())
    for text, look in search.archive.looks.items():
        assert (look.asked < len(PROMPTS)) == (ends[text] in ("below_best", "cut_off", "not_asked"))


def test_a_way_below_the_floor_and_one_over_the_limit_are_told_apart() -> None:
    """Both were asked on all prompts."""
    for objective, wanted in (
        (Objective(restraint=1.0), "below_floor"),
        (Objective(restraint=0.0, max_latency_s=0.5), "over_limit"),
    ):
        search = Search(PLAN, objective)
        batch = search.next()
        assert batch is not None
        seen = {
            reading: {p: ReplyMark(m.passed, m.needs_call, m.called, latency_s=1.0) for p, m in marks.items()}
            for reading, marks in told(batch).items()
        }
        search.told(batch, seen)
        (look,) = search.archive.looks.values()
        assert ended(search, look) == wanted


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(0, 50))
def test_nothing_beats_the_frontier_and_the_frontier_beats_the_rest(looks: int, seed: int) -> None:
    """In call accuracy and restraint together, over all readings of all ways."""
    archive = archive_of(list(ways(ALL)), looks, seed)
    found = frontier(archive, least=12)
    figures = [(one.restraint or 0.0, one.call_accuracy or 0.0) for one in found]
    assert figures == sorted(figures, key=lambda pair: (-pair[0], pair[1]))
    every = [one for look in archive.looks.values() for one in archive.standings(look)]
    for one in every:
        mine = (one.restraint or 0.0, one.call_accuracy or 0.0)
        assert any(held >= mine[0] - 1e-9 and made >= mine[1] - 1e-9 for held, made in figures)


def test_a_reading_is_taken_off_for_nothing_and_an_asking_part_only_where_it_was_asked() -> None:
    """The winner is told to call and read strictly; the way without the instruction was asked, another was not."""
    archive = Archive(Objective())
    for asking in ({"instructions": "call"}, {}):
        look = archive.begin(asking, "start")
        archive.add(look, marked(by_words, asking, PROMPTS))
        look.asked = len(PROMPTS)
    strict, call = shares(archive, {"instructions": "call", "backing": "strict"})[::-1]
    assert (call.part, call.n, strict.part, strict.n) == ("instructions", 30, "backing", 30)
    assert call.gain is not None
    assert call.gain > 0.1
    assert strict.gain is not None
    assert strict.gain > 0
    (alone,) = [one for one in shares(archive, {"instructions": "call", "examples": "one_tool"}) if one.part == "examples"]
    assert (alone.n, alone.gain, alone.possible) == (0, None, True)


def test_a_part_that_others_need_cannot_be_taken_off() -> None:
    """A grammar needs the tools in the prompt."""
    parts = shares(Archive(Objective()), {"tools": "signatures", "form": "grammar"})
    assert {one.part: one.possible for one in parts} == {"tools": False, "form": True}


COSTS = st.builds(WayCost, st.floats(0, 100), st.floats(0, 10_000), st.floats(1, 5))


@given(COSTS, COSTS)
def test_what_costs_more_is_worth_no_more(one: WayCost, other: WayCost) -> None:
    """By weights and limits; without either, cost is nothing."""
    objective = Objective(latency_weight=2.0, tokens_weight=1.0, max_latency_s=50.0, max_tokens=5000)
    assert Objective().price(one) == 0
    if one.latency_s <= other.latency_s and one.tokens <= other.tokens:
        assert objective.price(one) <= objective.price(other)
    assert (objective.price(one) >= 2) >= objective.over_limit(one)


def test_of_two_equal_ways_the_quicker_is_worth_more_and_the_slow_one_stands_last() -> None:
    """A second costs two points; over the limit, a way stands behind a worse one."""
    marks = [ReplyMark(i < 7, True, True, latency_s=3.0, tokens=100) for i in range(10)]
    quick = [ReplyMark(mark.passed, True, True, latency_s=1.0) for mark in marks]
    weighed = Objective(latency_weight=2.0)
    assert weighed.value(quick) - weighed.value(marks) == pytest.approx(0.04)
    limited = Objective(max_latency_s=2.0)
    assert limited.value(marks) < limited.value([ReplyMark(False, True, True)] * 10)


@pytest.mark.parametrize(
    "changed",
    [{"latency_weight": -1.0}, {"tokens_weight": float("nan")}, {"max_latency_s": 0.0}, {"max_tokens": -5}, {"call_weight": 2.0}],
)
def test_an_objective_that_cannot_be_is_refused(changed: dict[str, float]) -> None:
    """In one line that names the figure."""
    with pytest.raises(UsageError, match=next(iter(changed))):
        Objective(**changed)  # type: ignore[arg-type]
