"""Proposers that bring written choices along: examples from failures, and what a model was asked for."""

from __future__ import annotations

import random
from typing import Any

import pytest

from selfopt.records import Capability, ExpectedCall
from selfopt.search import SEARCHERS, Archive, Given, Objective, Proposal, ReplyMark, Search, SearchPlan, Seen, WayBatch
from selfopt.search.proposers.queued import Queued
from selfopt.search.proposers.worked import Worked, example_of
from selfopt.variants.space import Point, composed, point_text, ways
from selfopt.variants.written import names_written
from tests.search.kit import READINGS, marked, played
from tests.search.written_kit import IDS, SEARCHED, SUITE, instructions, prompt, tool

HAS: frozenset[Capability] = frozenset({"tools"})
PLAN = SearchPlan(IDS, HAS, rungs=(4, 8))


def given_of(archive: Archive, seed: int = 0) -> Given:
    """What a search hands to its proposers."""
    return Given(archive, tuple(ways(HAS)), HAS, random.Random(seed))


def failing(*failed: str) -> Archive:
    """The default way to ask was asked everything, and failed these."""
    archive = Archive(Objective())
    look = archive.begin({}, "start")
    needs = {one.id: one.needs_call for one in SEARCHED}
    archive.add(look, {"": {one: ReplyMark(one not in failed, needs[one], (one in failed) != needs[one]) for one in IDS}})
    look.asked = len(IDS)
    return archive


def test_failures_become_examples_and_are_named_as_their_sources() -> None:
    """One that needs a call and one that needs none, with the first accepted answer and their tools."""
    proposal = Worked("s", SUITE, "failures").propose(given_of(failing("p1", "p2")))
    assert proposal is not None
    (choice,) = proposal.written
    assert proposal.asking == {"examples": choice.name}
    assert (choice.by, choice.model, choice.sources) == ("failures", None, ("p1", "p2"))
    calling, idle = choice.examples
    assert [(call.name, call.arguments) for call in calling.tool_calls] == [("book", {"code": "LX2044"})]
    assert {"book"} < {one.name for one in calling.tools}
    assert idle.tool_calls == ()
    variant = composed(proposal.asking, written={choice.name: choice})
    assert variant.examples == choice.examples
    assert variant.options["layout"] == "turn"


def test_paraphrases_of_a_failure_are_sources_too() -> None:
    """Their answer could be copied from the example as well."""
    twin = SEARCHED[2].model_copy(update={"id": "p99", "messages": SEARCHED[3].messages})
    other = SUITE.model_copy(update={"prompts": (*SUITE.prompts, twin)})
    proposal = Worked("s", other, "failures").propose(given_of(failing("p1", "p2")))
    assert proposal is not None
    assert proposal.written[0].sources == ("p1", "p2", "p99")


def test_where_nothing_fails_there_are_no_examples() -> None:
    """Nor before anything was asked."""
    assert Worked("s", SUITE, "failures").propose(given_of(failing())) is None
    assert Worked("s", SUITE, "failures").propose(given_of(Archive(Objective()))) is None


@pytest.mark.parametrize(
    "expected",
    [
        "any",
        ((ExpectedCall(name="book", any_arguments=True),),),
        ((ExpectedCall(name="book", arguments={"code": [{"in": ["LX"]}]}),),),
        ((ExpectedCall(name="unknown", arguments={}),),),
    ],
)
def test_an_answer_that_is_not_known_in_full_is_no_example(expected: Any) -> None:
    """Any call, any arguments, values without a plain form, tools that are not offered."""
    assert example_of(SEARCHED[2].model_copy(update={"expected": expected}), (tool("book", "code"),)) is None
    assert example_of(prompt("x", "x" * 2000, "search"), ()) is None
    assert example_of(SEARCHED[2], (tool("book", "code"),)) is not None


def test_a_way_with_examples_is_neither_asked_nor_judged_on_their_prompts() -> None:
    """Also where marks of them are told, and for what crosses over from it."""
    search = Search(PLAN, Objective(), {**SEARCHERS.all(), "failures": Worked("s", SUITE, "failures")})

    def told(batch: WayBatch) -> Seen:
        sources = {one for name in names_written(batch.asking) for one in search.written[name].sources}
        assert not sources & set(batch.prompts)
        return marked(lambda asking, _: 0.3 + 0.5 * ("examples" in asking), batch.asking, IDS)

    batches = played(search, told, 80)
    with_examples = [batch for batch in batches if names_written(batch.asking)]
    assert {"failures"} < {batch.by for batch in with_examples}, "others go on from them"
    for look in search.archive.looks.values():
        sources = {one for name in names_written(look.asking) for one in search.written[name].sources}
        assert all(not sources & set(marks) for marks in look.marks.values())
        assert look.asked - look.left_out == len(look.marks.get("", {}))
    assert search.requests == sum(len(batch.prompts) for batch in batches)
    assert all(standing.n <= len(IDS) - 1 for standing in search.ranking() if "w-" in standing.point.get("examples", ""))


def test_what_waits_is_proposed_once_in_its_order() -> None:
    """What was begun meanwhile is passed over."""
    queue, archive = Queued(), Archive(Objective())
    points: tuple[Point, ...] = ({"tools": "brief"}, {"tools": "schemas"}, {"tools": "signatures"})
    queue.put(Proposal(point) for point in points)
    archive.begin(points[1], "random")
    assert queue.waits()
    assert [queue.propose(given_of(archive)) for _ in range(3)] == [Proposal(points[0]), Proposal(points[2]), None]
    assert not queue.waits()


def test_a_search_says_whose_turn_it_is_and_then_hears_of_it() -> None:
    """Only where nothing else is asked first; asking for the turn changes nothing."""
    queue = Queued()
    search = Search(PLAN, Objective(), {"asked": queue})
    choice = instructions("Be brief.")
    assert search.turn() is None, "the start is asked first"
    batch = search.next()
    assert batch is not None
    assert search.turn() is None, "a batch is open"
    search.told(batch, marked(lambda *_: 0.5, batch.asking, batch.prompts))
    assert search.turn() == search.turn() == "asked"
    queue.put([Proposal({"instructions": choice.name}, written=(choice,))])
    found = search.next()
    assert found is not None
    assert (point_text(found.asking), found.by) == (f"instructions={choice.name}", "asked")
    assert search.written == {choice.name: choice}


def test_a_written_choice_that_nobody_brought_is_not_asked() -> None:
    """Nor one that holds every prompt of the search."""
    queue = Queued()
    search = Search(SearchPlan(IDS, HAS, start=()), Objective(), {"asked": queue})
    every = instructions("All of it.").model_copy(update={"sources": IDS})
    queue.put([Proposal({"instructions": "w-00000000"}), Proposal({"instructions": every.name}, written=(every,))])
    batches = played(search, lambda batch: {one: {} for one in READINGS}, 3)
    assert [batch.by for batch in batches] == ["rest"] * 3
    assert search.written == {}


def test_a_turn_that_brought_nothing_counts_against_a_proposer() -> None:
    """So that the bandit draws it less."""
    search = Search(PLAN, Objective(), {"asked": Queued(), "other": Queued()})
    before = search.bandit.rates()["asked"]
    search.missed("asked")
    assert search.bandit.rates()["asked"] < before
    assert search.bandit.rates()["other"] == before
