"""A question to a reflection model shows what helps, fits its bound, and shows no prompt that it was not given."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.loop.reflection_question import ReadTrial, ReflectionQuestion, gepa_edits, gepa_question, own_question
from selfopt.records import Capability, Correction, Outcome, ParsedReply, Prompt, ToolCall, Verdict
from selfopt.variants.space import Point, composed
from tests.search.written_kit import HELD_OUT, SEARCHED, SUITE

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
@given(st.lists(st.sampled_from(SEARCHED), min_size=1, max_size=8), st.text(max_size=900), st.integers(4000, 20_000))
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


@pytest.mark.parametrize("answer", ["", "```", "``````", "no block", "{" * 100])
def test_whatever_is_answered_to_gepa_is_an_edit(answer: str) -> None:
    """It is held against the same rules as ours."""
    assert list(gepa_edits(answer)) == ["edits"]
