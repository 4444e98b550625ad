"""What every proposer of a search keeps, ours and those of installed packages."""

from __future__ import annotations

import functools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.records import Capability
from selfopt.search import SEARCHERS, Archive, Given, Objective, Proposal, WayProposer
from selfopt.simulate.search_worlds import WORLD_PARTS
from selfopt.variants.space import Point, asking_part, point_of, point_text, possible, ways
from tests.search.kit import archive_of

REGISTERED = pytest.mark.parametrize("name", SEARCHERS.names())
CAPABILITIES = st.frozensets(st.sampled_from(("tools", "grammar", "json_schema")))


@functools.cache
def all_ways(has: frozenset[Capability]) -> tuple[Point, ...]:
    """Every way to ask a server that has this."""
    return tuple(ways(has, parts=WORLD_PARTS))


def given_of(archive: Archive, has: frozenset[Capability], seed: int) -> Given:
    """What a search hands to its proposers."""
    return Given(archive, all_ways(has), has, random.Random(seed))


def proposed(name: str, given: Given) -> Proposal | None:
    """What the proposer of this name says."""
    proposer = SEARCHERS.get(name)
    assert isinstance(proposer, WayProposer)
    return proposer.propose(given)


@REGISTERED
@settings(max_examples=15, deadline=None)
@given(has=CAPABILITIES, seed=st.integers(0, 99), looks=st.integers(0, 12))
def test_what_is_proposed_can_be_asked_and_was_not_begun(name: str, has: frozenset[Capability], seed: int, looks: int) -> None:
    """Whatever the server has, after however many looks."""
    archive = archive_of(all_ways(has), looks, seed)
    proposal = proposed(name, given_of(archive, has, seed))
    if proposal is not None:
        asking = asking_part(point_of(proposal.asking))
        assert possible(asking, has)
        assert point_text(asking) not in archive.looks


@REGISTERED
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), looks=st.integers(0, 12))
def test_the_same_archive_gives_the_same_proposal(name: str, seed: int, looks: int) -> None:
    """So that a search which is replayed asks the same."""
    has: frozenset[Capability] = frozenset({"tools", "grammar"})
    one, other = (proposed(name, given_of(archive_of(all_ways(has), looks, seed), has, seed)) for _ in range(2))
    assert one == other


@REGISTERED
def test_nothing_is_proposed_where_nothing_is_left(name: str) -> None:
    """Every way was begun."""
    has: frozenset[Capability] = frozenset()
    archive = Archive(Objective())
    for way in all_ways(has):
        archive.begin(way, "start")
    assert proposed(name, given_of(archive, has, 1)) is None
