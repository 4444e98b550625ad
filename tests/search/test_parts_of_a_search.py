"""The bandit learns what pays, likeness is exact where it can be checked, expectations are checked."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.search import Archive, Foresight, Objective, ReplyMark, foresight
from selfopt.search.bandit import Bandit
from selfopt.search.likeness import Likeness, choices_of, covariances
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


def test_ways_that_share_more_choices_tell_more_of_each_other() -> None:
    """From nothing in common up to the same way."""
    one = WAYS[-1]
    for fewer, more in pairwise(range(len(one) + 1)):
        other = [tuple(c if i < shared else "other" for i, c in enumerate(one)) for shared in (fewer, more)]
        less, greater = covariances(one, other)
        assert less < greater <= 1.0
    assert covariances(one, [one]) == [pytest.approx(1.0)]


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
