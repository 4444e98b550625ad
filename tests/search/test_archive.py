"""Estimates lie between what was seen and what is likely, and come nearer to what was seen the more there is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.search import Archive, Objective, ReplyMark, joined, reading_text
from selfopt.simulate.search_worlds import WORLD_PARTS
from selfopt.variants.space import Point, asking_part, point_of, readings_of, ways
from tests.search.kit import MARKS, PROMPTS, READINGS, archive_of, marked

WAYS = list(ways(("tools", "grammar", "json_schema"), parts=WORLD_PARTS))
ANY_LOOK = st.dictionaries(st.sampled_from(READINGS[:4]), st.dictionaries(st.sampled_from(PROMPTS), MARKS), max_size=3)


def level(share: float, prompts: tuple[str, ...] = PROMPTS) -> dict[str, dict[str, ReplyMark]]:
    """Every reading good on this share of the prompts that need a call, and on all others."""
    calls = [one for one in prompts if int(one.removeprefix("p")) % 3 > 0]
    good = set(calls[: round(share * len(calls))])
    marks = {one: ReplyMark(one in good, one in calls, one in calls) for one in prompts}
    return {reading: dict(marks) for reading in READINGS}


@given(st.sampled_from(WAYS), st.sampled_from(list(readings_of({}))))
def test_a_way_and_a_reading_make_a_point_and_a_point_them(way: Point, reading: Point) -> None:
    """By their texts."""
    point = joined(way, reading_text(reading))
    assert point == point_of({**way, **reading})
    assert (asking_part(point), reading_text(point)) == (way, reading_text(reading))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WAYS), ANY_LOOK), max_size=8))
def test_whatever_marks_there_are_estimates_are_figures(looks: list[tuple[Point, dict[str, dict[str, ReplyMark]]]]) -> None:
    """From 0 to 1, and a ranking falls."""
    archive = Archive(Objective())
    for way, seen in looks:
        archive.add(archive.begin(way, "random"), seen)
    ranking = archive.ranking()
    assert [one.value for one in ranking] == sorted((one.value for one in ranking), reverse=True)
    for look in archive.looks.values():
        for standing in archive.standings(look):
            assert all(one is None or 0 <= one <= 1 for one in (standing.call_accuracy, standing.restraint))
            assert standing.value <= (archive.best_of(look) or standing).value
    value, doubt = archive.estimates().foretold(WAYS[0], READINGS[:2])
    assert -2 <= value <= 1
    assert 0 <= doubt < 1


def test_a_lucky_look_is_thought_less_of_until_it_is_confirmed() -> None:
    """Ten ways are of the middle. One is right on all of six prompts, and one on all of thirty."""
    archive = Archive(Objective(below=0.0, missed=0.0))
    for way in WAYS[:10]:
        archive.add(archive.begin(way, "random"), level(0.4))
    lucky, sure = archive.begin(WAYS[100], "random"), archive.begin(WAYS[101], "random")
    archive.add(lucky, level(1.0, PROMPTS[:6]))
    archive.add(sure, level(1.0))
    few, many = ((archive.best_of(look) or archive.ranking()[0]).call_accuracy or 0.0 for look in (lucky, sure))
    assert 0.35 < few < many <= 1.0
    assert many > 0.8


def test_easy_first_prompts_do_not_make_a_way_better() -> None:
    """A way that was begun has only seen prompts that all pass; the others have seen the hard ones too."""
    archive = Archive(Objective(below=0.0, missed=0.0))
    for way in WAYS[:10]:
        archive.add(archive.begin(way, "random"), level(0.5))
    easy = tuple(one for one in PROMPTS[:15] if int(one.removeprefix("p")) % 3 > 0)
    begun = archive.begin(WAYS[10], "random")
    archive.add(begun, {reading: {one: ReplyMark(True, True, True) for one in easy} for reading in READINGS})
    standing = archive.best_of(begun)
    assert standing is not None
    assert standing.call_accuracy == pytest.approx(0.5, abs=0.05)


def test_a_way_is_foretold_by_those_like_it() -> None:
    """One choice brings everything: ways with it promise more, and what is far from all is in more doubt."""
    archive, rng = Archive(Objective(below=0.0, missed=0.0)), random.Random(1)
    chosen, rest = rng.sample(WAYS, 40), [way for way in WAYS if way.get("examples")]
    for way in chosen:
        archive.add(archive.begin(way, "random"), level(0.8 if way.get("examples") == "one_tool" else 0.2))
    fresh = [way for way in rest if way not in chosen]
    told: dict[str, list[tuple[float, float]]] = {}
    for way in fresh:
        told.setdefault(way["examples"], []).append(archive.estimates().foretold(way, [""]))
    means = {name: sum(value for value, _ in found) / len(found) for name, found in told.items()}
    assert means["one_tool"] > means["everyday"] + 0.1
    seen = Archive(Objective())
    seen.add(seen.begin({}, "start"), level(0.5))
    near, far = {"required_only": "yes"}, WAYS[-1]
    assert seen.estimates().foretold(near, [""])[1] < seen.estimates().foretold(far, [""])[1]


def test_a_point_at_the_floor_by_luck_stands_behind_one_that_holds_surely() -> None:
    """The same accuracy, and a restraint in doubt."""
    objective = Objective(restraint=0.8)
    assert objective.of(0.5, 0.8, 0.6, doubt=0.1) < objective.of(0.5, 0.8, 0.6, doubt=0.02) < objective.of(0.5, 0.8, 0.6)
    assert objective.of(0.5, 0.5, 0.6, doubt=0.0001) == pytest.approx(objective.of(0.5, 0.5, 0.6))
    assert objective.of(0.5, 1.0, 0.6, doubt=0.01) == pytest.approx(0.7)


def test_the_value_of_marks_is_accuracy_less_what_is_short_of_the_floor() -> None:
    """Two calls of four right, one held of two; and missing the floor costs something by itself."""
    marks = [ReplyMark(i < 2, True, True) for i in range(4)] + [ReplyMark(True, False, False), ReplyMark(False, False, True)]
    assert Objective(restraint=0.8).value(marks) == pytest.approx(0.5 - 0.3 - 0.2)
    assert Objective(restraint=0.5, call_weight=1.0).value(marks[:5]) == pytest.approx(0.5)
    assert Objective().value([]) == 0.0


def test_archives_of_the_same_marks_are_the_same() -> None:
    """Down to the last digit: a search is resumed by replaying it."""
    one, other = (archive_of(WAYS, 9, 4) for _ in range(2))
    assert one.ranking() == other.ranking()
    one.add(one.begin(WAYS[0], "random"), marked(lambda *_: 0.9, WAYS[0], PROMPTS))
    assert one.ranking() != other.ranking()
