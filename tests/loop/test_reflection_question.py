"""A question to a reflection model shows what helps, fits its bound, and shows no prompt that it was not given."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.loop.reflection_question import ReadTrial, ReflectionQuestion, gepa_edits, gepa_question, own_question
from selfopt.records import MAX_WRITTEN_CHARS, Capability, Correction, Outcome, ParsedReply, Prompt, ToolCall, Verdict
from selfopt.variants.space import Point, composed
from tests.search.written_kit import HELD_OUT, SEARCHED, SUITE, tool

HAS: frozenset[Capability] = frozenset({"tools"})
POINT: Point = {"instructions": "call", "backing": "strict"}


def trial(prompt: Prompt, said: str = "Hm.") -> ReadTrial:
    """A trial that missed its call, as the gate on arguments dropped it."""
    dropped = (Correction(kind="call_not_backed", tool="book", argument="code"),)
    verdict = Verdict(
        verdict_id="v",
        trial_id="t",
        run_id="r",
        prompt_id=prompt.id,
        parser_hash="parser",
        scorer_hash="scorer",
        outcome=Outcome.MISSED,
        needs_call=True,
        parsed=ParsedReply(tool_calls=(ToolCall(name="stop"),), corrections=dropped),
    )
    return ReadTrial(prompt, [said], verdict)


def asked(trials: Sequence[ReadTrial], max_chars: int = 8000) -> ReflectionQuestion:
    """The question about these."""
    return own_question(POINT, composed(POINT), trials, SUITE, HAS, max_chars=max_chars)


def test_a_question_tells_what_was_asked_said_expected_and_dropped() -> None:
    """With the choices now, those there are, and the tools."""
    found = asked([trial(SEARCHED[2], "I will book that.")])
    body = json.loads(found.messages[-1].content)
    (shown,) = body["trials"]
    assert shown["id"] == "p2"
    assert "LX2044" in shown["conversation"]
    assert shown["expected"] == '[{"book":{"code":["LX2044"],"seat":["","3A"]}}]'
    assert shown["reply"] == "I will book that."
    assert shown["calls that were read"] == '[{"arguments":{},"name":"stop"}]'
    assert (shown["outcome"], shown["changed or dropped after reading"]) == ("missed", ["call_not_backed book code"])
    assert body["choices now"]["backing"] == "strict"
    assert set(body["choices there are"]["form"]) == {"free"}
    assert body["instructions now"] == composed(POINT).instructions
    assert list(body["tool sets"]) == list(found.tool_sets) == ["t"]
    assert "LX2044" in found.known


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(SEARCHED), min_size=1, max_size=8), st.text(max_size=900), st.integers(6000, 20_000))
def test_a_question_fits_its_bound(prompts: list[Prompt], said: str, max_chars: int) -> None:
    """Whatever was said. The first trials stay."""
    for found in (
        asked([trial(one, said) for one in prompts], max_chars),
        gepa_question(composed(POINT), [trial(one, said) for one in prompts], SUITE, max_chars=max_chars),
    ):
        assert sum(len(message.content) for message in found.messages) <= max_chars
        assert list(found.prompt_ids) == [one.id for one in prompts[: len(found.prompt_ids)]]
        assert found.prompt_ids
        assert not any(one.messages[0].content in found.known for one in HELD_OUT)


def test_gepa_asks_for_instructions_in_its_own_words() -> None:
    """Its answer has the form of ours."""
    found = gepa_question(composed(POINT), [trial(SEARCHED[2])], SUITE, max_chars=8000)
    assert composed(POINT).instructions in found.known
    assert "write a new instruction" in found.known
    assert gepa_edits("Sure:\n```\nBe brief.\n```") == {"edits": [{"instructions": "Be brief."}]}


def test_gepa_is_told_the_bound_of_what_it_may_write() -> None:
    """However short the question is cut, and that no value of the examples may be in it."""
    for said, most in (("Hm.", 20_000), ("Hm. " * 5_000, 6_000)):
        found = gepa_question(composed(POINT), [trial(one, said) for one in SEARCHED], SUITE, max_chars=most)
        told = found.messages[-1].content
        assert len(told) <= most
        assert f"at most {MAX_WRITTEN_CHARS} characters" in told[-300:]
        assert "no values of the examples" in told[-300:]


def test_tools_that_no_trial_needs_are_left_out_before_trials_are() -> None:
    """At the least bound there is, a trial of many long tools stands in full."""
    long = tuple(tool(f"tool_with_a_long_name_{n}", *(f"argument_{k}_{'x' * 40}" for k in range(9))) for n in range(8))
    suite = SUITE.model_copy(update={"tool_sets": {**SUITE.tool_sets, "t": (*SUITE.tool_sets["t"][:2], *long)}})
    trials = [trial(one, "Hm. " * 90) for one in SEARCHED[:3]]
    wide = own_question(POINT, composed(POINT), trials, suite, HAS, max_chars=60_000)
    narrow = own_question(POINT, composed(POINT), trials, suite, HAS, max_chars=6_000)
    assert wide.messages[-1].content.count("tool_with_a_long_name") > 2
    body = json.loads(narrow.messages[-1].content)
    assert [one["id"] for one in body["trials"]] == ["p0", "p1", "p2"]
    assert [told.split("(")[0] for told in body["tool sets"]["t"]] == ["get_weather", "book"]


@pytest.mark.parametrize("answer", ["", "```", "``````", "no block", "{" * 100])
def test_whatever_is_answered_to_gepa_is_an_edit(answer: str) -> None:
    """It is held against the same rules as ours."""
    assert list(gepa_edits(answer)) == ["edits"]
