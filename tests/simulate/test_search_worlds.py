"""Scripted worlds for searches: frozen, the same for the same seed, and true to their chances."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import Capability
from selfopt.simulate import search_worlds
from selfopt.simulate.search_worlds import WORLD_PARTS, SearchWorld, best_points
from selfopt.variants.space import Point, asking_part, readings_of, ways

ALL: tuple[Capability, ...] = ("tools", "grammar", "json_schema")
# Points of the day when the worlds were frozen. Parts that come later leave them as they are.
POINTS: tuple[Point, ...] = (
    {},
    {"backing": "strict"},
    {"tools": "signatures", "form": "grammar", "examples": "one_tool", "fit": "yes", "offered": "yes"},
    {"tools": "brief", "required_only": "yes", "instructions": "hold", "spelling": "said", "backing": "ground"},
    {"steps": "choose_then_answer", "examples": "everyday", "instructions": "copy"},
)
FROZEN = "a59f9583f8995b7f"


def test_the_worlds_are_frozen() -> None:
    """What the figures of docs/SEARCH.md were measured in can't be changed without anybody noticing."""
    told = []
    for seed in (0, 7):
        world = SearchWorld(seed)
        for point in POINTS:
            told += [f"{one:.6f}" for p in world.prompts for one in world.chance(point, p)]
            marks = world.marks(point, world.ids())
            for found in [marks[text][one] for text in ("", "fit=yes", "backing=strict") for one in world.ids()]:
                told.append(f"Mark(passed={found.passed}, needs_call={found.needs_call}, called={found.called})")
    assert hashlib.sha256("\n".join(told).encode()).hexdigest()[:16] == FROZEN


def test_the_reflection_is_right_about_half_of_the_time() -> None:
    """Frozen as well: its changes help the prompts that failed more often than chance, and not always."""
    assert (search_worlds._INSIGHT, search_worlds._LOOKED_AT) == (0.5, 6)
    world, rng, helped = SearchWorld(1000), random.Random(3), 0
    failed = [one for one, mark in world.marks({}, world.ids())[""].items() if not mark.passed][:20]
    for _ in range(60):
        found = world.reflect({}, failed, rng)
        assert found is not None
        changed, fixes = found
        assert set(fixes) <= set(failed)
        helped += sum(world.chance(changed, world.by_id[one])[0] - world.chance({}, world.by_id[one])[0] for one in failed) > 0
    assert 30 <= helped < 60


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.sampled_from(list(ways(ALL, parts=WORLD_PARTS))))
def test_marks_come_as_often_as_the_chances_say(seed: int, way: Point) -> None:
    """For every reading, over many prompts; what calls nothing passes where no call is needed."""
    world = SearchWorld(seed, tool_sets=(30, 1), prompts=30)
    marks, ids = world.marks(way, world.ids()), world.ids()
    for point in readings_of(way):
        text = " ".join(f"{name}={choice}" for name, choice in point.items() if name not in asking_part(point))
        truth, seen = world.truth(point, held_out=False), marks[text]
        assert sum(mark.passed for mark in seen.values()) / len(ids) == pytest.approx(truth.accuracy, abs=0.075)
        assert all(mark.needs_call or mark.passed != mark.called for mark in seen.values())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.sampled_from(list(ways(ALL, parts=WORLD_PARTS))), st.integers(0, 23))
def test_the_truth_of_a_point_is_the_mean_of_its_chances(seed: int, way: Point, reading: int) -> None:
    """On held-out prompts, kind by kind."""
    world = SearchWorld(seed, tool_sets=(1, 2))
    point = list(readings_of(way))[reading]
    held_out = [prompt for prompt in world.prompts if prompt.held_out]
    chances = [world.chance(point, prompt) for prompt in held_out]
    assert all(0 <= one <= 1 for chance in chances for one in chance)
    truth = world.truth(point)
    assert truth.accuracy == pytest.approx(sum(passing for passing, _ in chances) / len(chances))
    idle = [1 - called for prompt, (_, called) in zip(held_out, chances, strict=True) if not prompt.needs_call]
    assert truth.restraint == pytest.approx(sum(idle) / len(idle))


def test_the_same_request_gives_the_same_reply() -> None:
    """A repetition is a copy, in the same world and in a twin. Another seed is another world."""
    one, twin, other = SearchWorld(5), SearchWorld(5), SearchWorld(6)
    marks = one.marks({}, one.ids())
    assert one.marks({}, one.ids()) == marks == twin.marks({}, twin.ids())
    assert other.marks({}, other.ids()) != marks


def test_few_points_are_good_and_parts_help_together() -> None:
    """At the floor, the best is far above the middle, and few come near it."""
    world = SearchWorld(1000)
    found = best_points(world, ways(ALL, parts=WORLD_PARTS), restraint=0.8)
    best, middle = found[0][0], found[len(found) // 2][0]
    assert best - middle > 0.15
    assert sum(accuracy > best - 0.05 for accuracy, _ in found) <= 20
    assert all(world.truth(point).restraint >= 0.8 for _, point in found)
