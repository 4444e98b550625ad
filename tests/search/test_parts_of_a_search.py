"""The bandit learns what pays, likeness is exact where it can be checked, expectations are checked."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import Capability, Phase
from selfopt.search import Archive, Foresight, Objective, ReplyMark, foresight
from selfopt.search.bandit import Bandit
from selfopt.search.likeness import Likeness, choices_of, covariances
from selfopt.search.proposers.base import Given
from selfopt.search.proposers.crossed import Crossed
from selfopt.simulate.search_worlds import WORLD_PARTS
from selfopt.variants.space import ways

WAYS = [choices_of(way) for way in ways(("tools", "grammar", "json_schema"), parts=WORLD_PARTS)]


def test_what_paid_is_drawn_first_more_often() -> None:
    """And nothing is never drawn."""
    bandit = Bandit(["good", "bad"], random.Random(1))
    rng, first = random.Random(2), {"good": 0, "bad": 0}
    for _ in range(300):
        name = bandit.order()[0]
        first[name] += 1
        bandit.told(name, paid=rng.random() < (0.6 if name == "good" else 0.2))
    assert first["good"] > 2 * first["bad"] > 0
    assert bandit.rates()["good"] > bandit.rates()["bad"]


def test_names_that_are_no_arms_teach_nothing() -> None:
    """Such as the start of a search."""
    bandit = Bandit(["one"], random.Random(1))
    before = bandit.rates()
    bandit.told("start", paid=True)
    assert bandit.rates() == before


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(WAYS), min_size=1, max_size=12, unique=True), st.data())
def test_likeness_solves_what_it_says(chosen: list[tuple[str | None, ...]], data: st.DataObject) -> None:
    """Covariances plus noise, times the weights, give what was seen less the mean; estimates follow from the weights."""
    noise = [data.draw(st.floats(0.05, 5.0)) for _ in chosen]
    seen = [data.draw(st.floats(0.0, 1.0)) for _ in chosen]
    likeness = Likeness(chosen, noise)
    mean, weights = likeness.fitted(seen)
    for way, one, off, weight in zip(chosen, seen, noise, weights, strict=True):
        smooth = sum(c * w for c, w in zip(covariances(way, chosen), weights, strict=True))
        assert smooth + off * weight == pytest.approx(one - mean, abs=1e-6)
    back = likeness.back(seen, weights)
    for way, one in zip(chosen, back, strict=True):
        assert mean + sum(c * w for c, w in zip(covariances(way, chosen), weights, strict=True)) == pytest.approx(one, abs=1e-6)
    assert all(0 <= likeness.doubt(covariances(way, chosen)) <= 1 for way in WAYS[:5])


@pytest.mark.parametrize("phase", ["atomic", "extended"])
def test_ways_that_share_more_choices_tell_more_of_each_other(phase: Phase) -> None:
    """From nothing in common up to the same way."""
    one = choices_of({"tools": "brief", "form": "grammar"}, phase)
    for fewer, more in pairwise(range(len(one) + 1)):
        other = [tuple(c if i < shared else "other" for i, c in enumerate(one)) for shared in (fewer, more)]
        less, greater = covariances(one, other)
        assert less < greater <= 1.0
    assert covariances(one, [one]) == [pytest.approx(1.0)]


def test_parts_that_the_space_got_later_make_nothing_more_alike() -> None:
    """Two ways that differ in a choice are as alike as when there were twelve parts, and one that differs in a new part too
    is less alike.
    """
    one, other, third = (choices_of(way) for way in ({}, {"tools": "brief"}, {"tools": "brief", "temperature": "1"}))
    near, far = covariances(one, [other, third])
    assert near == 0.30 * 11 / 12 + 0.35 * 11 * 10 / (12 * 11)
    assert far == 0.30 * 10 / 12 + 0.35 * 10 * 9 / (12 * 11)


def test_a_child_takes_its_sampling_from_one_of_two_as_a_whole() -> None:
    """No mixture of the temperature of one and the thinking of the other."""
    archive, has = Archive(Objective()), frozenset[Capability]({"tools", "temperature", "thinking"})
    sampled = [{"temperature": "1", "instructions": "call"}, {"thinking": "long", "examples": "everyday"}]
    for way in sampled:
        archive.add(archive.begin(way, "start"), {"": {"a": ReplyMark(True, True, True), "b": ReplyMark(True, False, False)}})
    children = [Crossed().propose(Given(archive, (), has, random.Random(seed))) for seed in range(40)]
    found = {(one.asking.get("temperature"), one.asking.get("thinking")) for one in children if one is not None}
    assert found == {("1", None), (None, "long")}


def test_what_a_proposer_expects_is_checked_where_both_were_asked() -> None:
    """A prompt that failed before and is passed, one that is broken, and those that nobody can tell."""
    archive = Archive(Objective())
    before, after = archive.begin({}, "start"), archive.begin({"instructions": "hold"}, "reflection")
    good, bad = ReplyMark(True, True, True), ReplyMark(False, True, True)
    archive.add(before, {"fit=yes": {"a": bad, "b": bad, "c": good, "d": good, "e": bad}})
    archive.add(after, {"fit=yes": {"a": good, "b": bad, "c": bad, "d": good}})
    after.fixes, after.breaks, after.instead_of = frozenset("abcex"), frozenset("cd"), {"fit": "yes"}
    assert foresight(archive) == {"reflection": Foresight(fixed=1, of_fixes=2, broken=1, of_breaks=2)}
    after.instead_of = {"tools": "brief"}
    assert foresight(archive) == {"reflection": Foresight()}
