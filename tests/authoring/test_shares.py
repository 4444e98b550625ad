"""Kept prompts are split so that held-out ones tell something new."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.authoring.drafts import Draft, sets_of
from selfopt.authoring.shares import HELDOUT, HELDOUT_SHARE, OfferedDraft, made_suite, not_offered
from selfopt.records import Suite, SyntheticPrompts, ToolCall, ToolDefinition
from selfopt.suites import validate_suite

from .tools import tool

HEAD = SyntheticPrompts(by="template")


def many(count: int) -> tuple[ToolDefinition, ...]:
    """So many tools."""
    return tuple(tool(f"tool_{n}", ("x",), x={"type": "integer"}) for n in range(count))


def made(tools: int, families: int, phrasings: int = 2) -> Suite:
    """A suite of so many families for each tool, and as many near misses."""
    sets = sets_of(many(tools))
    offers = []
    for group, some in enumerate(sets):
        for one in some:
            for n in range(families):
                call = (ToolCall(name=one.name, arguments={"x": n}),)
                told = [f"{one.name} {n} {k}" for k in range(phrasings)]
                offers += [OfferedDraft(Draft("direct", text, call, one.name, f"{one.name} {n}"), group) for text in told]
                offers.append(OfferedDraft(Draft("near miss", f"{one.name} no {n}", (), one.name, f"{one.name} no {n}"), group))
    return made_suite("tune-x", "", sets, offers, HEAD)


def test_many_tools_are_split_by_sets_of_tools() -> None:
    """Then what is held out are new tools."""
    suite = made(16, 8)
    assert suite.synthetic is not None
    assert suite.synthetic.held_out == "tool_sets"
    assert validate_suite(suite) == []
    assert len({p.tool_set for p in suite.select("search")} & {p.tool_set for p in suite.select("heldout")}) == 0


def test_few_tools_are_split_by_requests_with_somewhat_more_than_half_held_out() -> None:
    """As many as a decision about other requests needs, where enough prompts are wanted."""
    suite = made(3, 27)
    assert suite.synthetic is not None
    assert suite.synthetic.held_out == "prompts"
    assert validate_suite(suite) == []
    assert len(suite.select("heldout")) >= HELDOUT
    assert abs(len(suite.select("heldout")) / len(suite.prompts) - HELDOUT_SHARE) < 0.1


def splits_of(suite: Suite) -> dict[str, str]:
    """The split of each text."""
    return {prompt.messages[0].content: prompt.split for prompt in suite.prompts}


@pytest.mark.parametrize("tools", [3, 16])
def test_a_prompt_stays_in_its_split_whatever_else_is_written(tools: int) -> None:
    """So what was searched on is never held out in a larger suite of the same tools."""
    small, large = splits_of(made(tools, 6)), splits_of(made(tools, 30, phrasings=3))
    assert {text: large[text] for text in small} == small


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 20), st.integers(1, 12), st.integers(1, 3))
def test_no_family_is_in_both_splits_and_neither_split_is_small(tools: int, families: int, phrasings: int) -> None:
    """Paraphrases of what was searched on would tell nothing new."""
    suite = made(tools, families, phrasings)
    splits: dict[str, set[str]] = {}
    for prompt in suite.prompts:
        splits.setdefault(prompt.messages[0].content.rsplit(" ", 1)[0] if prompt.needs_call else prompt.id, set()).add(
            prompt.split
        )
    assert all(len(one) == 1 for one in splits.values())
    assert validate_suite(suite) == []
    counts = Counter(p.split for p in suite.prompts)
    if tools * families >= 40:
        assert min(counts["search"], counts["heldout"]) >= 0.2 * len(suite.prompts)


def test_some_requests_are_asked_where_their_tool_is_missing() -> None:
    """Only where enough other tools are left."""
    drafts = [Draft("direct", f"t{n}", (), "a", f"f{n}") for n in range(10)]
    assert not_offered(drafts, 2) == set()
    assert not_offered(drafts, 3) == {"f4", "f9"}


def test_sets_hold_every_tool_once_and_are_alike_in_size() -> None:
    """At most eight in each."""
    for count in range(1, 65):
        sizes = [len(one) for one in sets_of(many(count))]
        assert sum(sizes) == count
        assert max(sizes) <= 8
        assert max(sizes) - min(sizes) <= 1
