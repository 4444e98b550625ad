"""What the leaderboard's rules can judge."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.records import Outcome, ParsedReply, Prompt, ToolCall, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import find_warnings, validate_suite
from selfopt.suites.bfcl_types import bfcl_value

from .test_store import suite


def problems(schema: dict[str, Any], accepted: list[Any], judging: str = "bfcl") -> list[str]:
    """Those of a suite with one argument of this schema."""
    plain = suite()
    tool = plain.tool_sets["bells"][0].model_copy(update={"parameters": {"type": "object", "properties": {"times": schema}}})
    call = plain.prompts[0].expected[0][0].model_copy(update={"arguments": {"times": accepted}})  # type: ignore[union-attr]
    prompt = plain.prompts[0].model_copy(update={"expected": ((call,),)})
    return validate_suite(plain.model_copy(update={"judging": judging, "tool_sets": {"bells": (tool,)}, "prompts": (prompt,)}))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "date"}, "type 'date'"),
        ({"type": ["string", "null"]}, "cannot be judged"),
        ({"type": "array"}, "list of type 'None'"),
        ({"type": "array", "items": {"type": "set"}}, "list of type 'set'"),
    ],
)
def test_a_type_that_cannot_be_judged_is_named(schema: dict[str, Any], words: str) -> None:
    """With the argument and what is known."""
    (problem,) = problems(schema, [1])
    assert "prompt A1" in problem
    assert "'times'" in problem
    assert words in problem


def test_what_no_reply_can_meet_is_left_as_the_leaderboard_has_it() -> None:
    """Its scores count such prompts; a standard suite may not have them."""
    assert problems({"type": "integer"}, []) == []
    assert problems({"type": "integer"}, ["many"]) == []
    assert problems({}, [1, "one"]) == []
    assert problems({"type": "integer"}, ["many"], "standard") != []


def test_a_prompt_may_offer_nothing() -> None:
    """Nothing can be called then, and nothing should."""
    empty = suite(tool_sets={"bells": []}, prompts=[{**PROMPT, "expected": [[]]}], judging="bfcl")
    assert validate_suite(empty) == []
    assert validate_suite(empty.model_copy(update={"judging": "standard"})) != []


PROMPT = {"id": "A1", "kind": "k", "tool_set": "bells", "messages": [{"role": "user", "content": "Ring."}]}


def test_an_accepted_value_is_given_as_the_leaderboard_writes_it() -> None:
    """Objects list the values of each key, and what may be left out only is."""
    assert bfcl_value({"a": ["x", "y"], "b": ["", 2], "c": [""], "d": [[1]]}) == {"a": "x", "b": 2, "d": [1]}
    assert bfcl_value([{"a": ["x"]}, {"a": [{"b": [1]}]}]) == [{"a": "x"}, {"a": {"b": 1}}]
    assert bfcl_value({"a": "x"}) == {"a": "x"}
    assert bfcl_value(["x", ""]) == ["x", ""]


def test_objects_of_the_leaderboard_are_reached() -> None:
    """No warning of values that only look as if no reply could be equal to them."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}
    plain = suite()
    tool = plain.tool_sets["bells"][0].model_copy(update={"parameters": {"type": "object", "properties": {"times": schema}}})
    call = plain.prompts[0].expected[0][0].model_copy(update={"arguments": {"times": [{"n": [3], "s": ["", "x"]}]}})  # type: ignore[union-attr]
    prompt = plain.prompts[0].model_copy(update={"expected": ((call,),)})
    made = plain.model_copy(update={"judging": "bfcl", "tool_sets": {"bells": (tool,)}, "prompts": (prompt,)})

    def passes(prompt: Prompt, tools: tuple[ToolDefinition, ...], calls: tuple[ToolCall, ...]) -> bool:
        judged = scorer_of("bfcl").judge(prompt, tools, ParsedReply(tool_calls=calls), None)
        return judged.outcome is Outcome.PASS

    assert {w.code for w in find_warnings(made, passes)}.isdisjoint({"unreachable", "outside-schema"})
