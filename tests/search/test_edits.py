"""Edits are data: what fits can be asked, and the rest is refused with its reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import Capability, EditRefusal, WrittenChoice
from selfopt.search.edits import MOST_EDITS, EditRules, ReadEdits, read_edits
from selfopt.variants.space import Point, asking_part, composed, point_text, possible
from tests.search.written_kit import IDS, SUITE

ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema"})
PARENT: Point = {"tools": "signatures", "backing": "strict"}
EXAMPLE: dict[str, Any] = {
    "tool_set": "t",
    "request": "Is it cold in Rome?",
    "calls": [{"name": "get_weather", "arguments": {"city": "Rome"}}],
}


def rules(*, elsewhere: bool = True) -> EditRules:
    """What edits are held against."""
    return EditRules("s", SUITE, IDS, ALL, "reflection", "scripted/r", elsewhere)


RULES = rules()


def read(body: object, by: EditRules = RULES, begun: frozenset[str] = frozenset()) -> ReadEdits:
    """The edits of an answer to a question about the parent that showed tool set `t`."""
    return read_edits(
        body, PARENT, by, shown="user: Weather in Oslo?", tool_sets=("t",), begun=begun | {point_text(asking_part(PARENT))}
    )


def edits(*each: object) -> dict[str, Any]:
    """An answer."""
    return {"edits": list(each)}


def test_an_edit_is_the_parent_with_what_was_written() -> None:
    """Its prediction names prompts of the search, and its choice is named after its content."""
    found = read(
        edits(
            {
                "instructions": " Ask \x07for  nothing. ",
                "parts": {"form": "grammar"},
                "fixes": ["p0", "h0"],
                "breaks": ["p1", "p0"],
            }
        )
    )
    (proposal,) = found.proposals
    (choice,) = proposal.written
    assert choice.instructions == "Ask for nothing."
    assert choice.name == WrittenChoice.name_of("Ask for nothing.")
    assert proposal.asking == {"tools": "signatures", "form": "grammar", "instructions": choice.name}
    assert (set(proposal.fixes), set(proposal.breaks)) == ({"p0"}, {"p1"})
    assert proposal.instead_of == PARENT
    assert composed(proposal.asking, written={choice.name: choice}).instructions == "Ask for nothing."


def test_examples_take_the_tools_that_were_shown() -> None:
    """Those that they call, and two beside."""
    (proposal,) = read(edits({"examples": [EXAMPLE]})).proposals
    (example,) = proposal.written[0].examples
    assert [tool.name for tool in example.tools] == ["get_weather", "book", "stop"]
    assert example.tool_calls[0].arguments == {"city": "Rome"}
    assert proposal.written[0].sources == ()


def test_an_example_with_a_searched_prompt_names_it_as_its_source() -> None:
    """And is refused where no other prompts decide."""
    body = edits({"examples": [{**EXAMPLE, "request": "Weather in Oslo?"}]})
    (proposal,) = read(body).proposals
    assert proposal.written[0].sources == ("p0",)
    (refused,) = read(body, rules(elsewhere=False)).refused
    assert (refused.refusal, refused.prompt_ids) == ("search_prompt", ("p0",))


@pytest.mark.parametrize(
    ("edit", "refusal"),
    [
        ({"parts": {"tols": "native"}}, "unknown_part"),
        ({"parts": {"PART": "CHOICE"}}, "repeated"),
        ({"parts": {"tools": "natve"}}, "unknown_choice"),
        ({"parts": {"instructions": "w-00000000"}}, "unknown_choice"),
        ({"parts": {"words": "copied"}}, "impossible"),
        ({"parts": {"backing": "any"}}, "repeated"),
        ({}, "repeated"),
        ({"instructions": " \n "}, "repeated"),
        ({"instructions": "x" * 601}, "too_long"),
        ({"instructions": "x" * 10_000}, "too_long"),
        ({"examples": [EXAMPLE] * 4}, "too_long"),
        ({"examples": [{**EXAMPLE, "calls": [{"name": "book", "arguments": {"code": "x" * 2000}}]}]}, "too_long"),
        ({"code": "import os"}, "malformed"),
        ({"instructions": 7}, "malformed"),
        ({"examples": [{**EXAMPLE, "tools": []}]}, "malformed"),
        ({"examples": [{**EXAMPLE, "calls": [{"name": "book", "arguments": {"code": float("nan")}}]}]}, "malformed"),
        (7, "malformed"),
        ({"examples": [{**EXAMPLE, "calls": [{"name": "rm", "arguments": {}}]}]}, "unknown_tool"),
        ({"examples": [{**EXAMPLE, "tool_set": "u", "calls": []}]}, "unknown_tool"),
        ({"instructions": "Move 80315-77."}, "held_out"),
        ({"examples": [{**EXAMPLE, "request": "Where is Bergström?"}]}, "held_out"),
        ({"examples": [{**EXAMPLE, "calls": [{"name": "book", "arguments": {"code": [{"to": "\nBergström"}]}}]}]}, "held_out"),
        ({"examples": [{**EXAMPLE, "calls": [{"name": "book", "arguments": {"Bergström": 1}}]}]}, "held_out"),
        ({"instructions": "Is it warm in place number 3? 4? 5? place 3, place 4, place 5, place 6"}, "search_prompt"),
    ],
)
def test_what_does_not_fit_is_refused(edit: object, refusal: EditRefusal) -> None:
    """Each with its reason. What comes after it is read."""
    found = read(edits(edit, {"instructions": "Be brief."}))
    assert [one.refusal for one in found.refused] == [refusal]
    assert len(found.proposals) == 1


@pytest.mark.parametrize("examples", [[{**EXAMPLE, "request": "Where is Bergström?"}], [EXAMPLE] * 4, "x"])
def test_of_an_edit_whose_examples_do_not_fit_the_rest_is_used(examples: object) -> None:
    """The examples are refused, and stand in nothing that is asked."""
    found = read(edits({"instructions": "Be brief.", "examples": examples, "fixes": ["p0"]}))
    assert len(found.refused) == 1
    (proposal,) = found.proposals
    assert [one.instructions for one in proposal.written] == ["Be brief."]
    assert proposal.fixes == {"p0"}
    assert "examples" not in proposal.asking
    also = read(edits({"instructions": "Move 80315-77.", "examples": examples}))
    assert (also.proposals, len(also.refused)) == ((), 1)


def test_a_form_that_is_repeated_chooses_nothing() -> None:
    """A small model that has nothing to say of parts writes what the question has in their place."""
    for form in ("CHOICE", "INSTRUCTIONS"):
        found = read(edits({"instructions": "Be brief.", "parts": {"PART": form}}))
        assert found.refused == ()
        assert ["instructions" in proposal.asking for proposal in found.proposals] == [True]


def test_an_example_under_a_name_that_is_no_tool_set_has_the_tools_that_it_calls() -> None:
    """Small models invent the name. Without a call nothing tells which tools it means."""
    found = read(edits({"examples": [{**EXAMPLE, "tool_set": "tools1"}]}))
    assert [tool.name for tool in found.proposals[0].written[0].examples[0].tools] == ["get_weather", "book", "stop"]
    (refused,) = read(edits({"examples": [{**EXAMPLE, "tool_set": "tools1", "calls": []}]})).refused
    assert refused.refusal == "unknown_tool"


def test_one_answer_says_each_thing_once_and_not_too_much() -> None:
    """Repeats within it are refused, as is what was begun before."""
    one = {"instructions": "Be brief."}
    found = read(edits(one, one, *[{"parts": {"form": "grammar"}}] * 7))
    assert [e.refusal for e in found.refused] == ["repeated", "repeated", "too_many"]
    assert len(found.proposals) == 2
    assert len(found.proposals) + len(found.refused) - 1 == MOST_EDITS
    begun = frozenset(point_text(proposal.asking) for proposal in found.proposals)
    assert read(edits(one), begun=begun).proposals == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["edits", "instructions", "examples", "parts", "fixes", "calls", "tools"]), inner, max_size=4
        )
    ),
)
EDIT = st.fixed_dictionaries(
    {},
    optional={
        "instructions": st.text(max_size=700),
        "parts": st.dictionaries(
            st.sampled_from(["tools", "form", "backing", "no"]), st.sampled_from(["native", "grammar", "strict", "x"])
        ),
        "examples": st.lists(
            st.fixed_dictionaries(
                {
                    "tool_set": st.sampled_from(["t", "u"]),
                    "request": st.text(max_size=40),
                    "calls": st.lists(
                        st.fixed_dictionaries(
                            {"name": st.just("stop"), "arguments": st.dictionaries(st.text(max_size=5), JSON, max_size=2)}
                        ),
                        max_size=2,
                    ),
                }
            ),
            max_size=3,
        ),
        "fixes": st.lists(st.sampled_from([*IDS, "h0"])),
    },
)


@given(JSON | st.lists(EDIT, max_size=6).map(lambda each: {"edits": each}))
def test_whatever_is_answered_becomes_points_that_can_be_asked_or_refusals(body: object) -> None:
    """Never an error. What is proposed can be composed, and holds nothing that is held out."""
    found = read(body)
    for proposal in found.proposals:
        assert possible(proposal.asking, ALL)
        written = {one.name: one for one in proposal.written}
        variant = composed(proposal.asking, written=written)
        assert len(variant.instructions) <= 600
        assert proposal.fixes <= set(IDS)
    assert len(found.proposals) <= MOST_EDITS
