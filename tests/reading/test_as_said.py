"""Misspelt copies take the spelling of what somebody said; everything else stays."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.as_said import as_said
from selfopt.records import Message, ToolCall, ToolDefinition

from .test_schema import ROOTS, VALUES


def spelt(said: str, value: Any, schema: dict[str, Any] | None = None) -> tuple[Any, list[str]]:
    """The value of the argument `v` afterwards, and what was reported."""
    tools = [ToolDefinition(name="f", parameters={"properties": {"v": schema or {"type": "string"}}, "required": ["v"]})]
    calls, made = as_said([ToolCall(name="f", arguments={"v": value})], [Message(role="user", content=said)], tools)
    return calls[0].arguments["v"], [one.kind for one in made]


@pytest.mark.parametrize(
    ("said", "value", "expected"),
    [
        ("Are there 24 of the KW-70551 mugs left?", "KB-70551", "KW-70551"),
        ("How late is EC 164 at the moment?", "IR 164", "EC 164"),
        ("write to tereza@saltmarsh.example, please", "terezza@saltmarsh.example", "tereza@saltmarsh.example"),
        ('Play "Salt on the Window" now.', "Salt on the Widnow", "Salt on the Window"),
        ("Trains to Norrköping.", "Norköpping", "Norrköping"),
    ],
)
def test_a_misspelt_copy_takes_the_spelling_of_what_was_said(said: str, value: str, expected: str) -> None:
    assert spelt(said, value) == (expected, ["as_said"])
    assert spelt(said, [value], {"type": "array", "items": {"type": "string"}}) == ([expected], ["as_said"])


@pytest.mark.parametrize(
    ("said", "value", "schema"),
    [
        ("events in German history", "Germany", {}),
        ("detail information, please", "detailed", {}),
        ("at KW-70551 or KX-70551?", "KB-70551", {}),
        ("Anna Berg and Anna Bert", "Anna Berk", {}),
        ("on 9 June 2031", "2031-06-08", {}),
        ("about 1250 of them", "1251", {}),
        ("the livingroom", "living_roon", {"enum": ["living_roon"]}),
        ("the weather in Graz", "Vienna", {}),
        ("Salt on the Window", "salt on the window", {}),
        ("3 rooms", 4, {"type": "integer"}),
        ("yes", "ye", {}),
    ],
)
def test_what_is_said_derived_or_as_near_to_two_places_stays(said: str, value: Any, schema: dict[str, Any]) -> None:
    assert spelt(said, value, schema) == (value, [])


def test_what_the_model_or_its_instructions_say_is_no_pattern() -> None:
    tools = [ToolDefinition(name="f", parameters={"properties": {"v": {"type": "string"}}})]
    talk = [Message(role="system", content="Ask for Norrköping."), Message(role="user", content="Any train?")]
    call = ToolCall(name="f", arguments={"v": "Norköpping"})
    assert as_said([call], talk, tools) == ([call], [])


@given(st.text(max_size=300), VALUES, ROOTS)
def test_no_call_is_lost_and_a_second_time_changes_nothing(said: str, value: Any, root: dict[str, Any]) -> None:
    tools = [ToolDefinition(name="f", parameters=root)]
    calls = [ToolCall(name="f", arguments={"v": value, "w": said[:40]}), ToolCall(name="other", arguments={"v": value})]
    talk = [Message(role="user", content=said)]
    once, made = as_said(calls, talk, tools)
    assert [(call.name, list(call.arguments)) for call in once] == [(call.name, list(call.arguments)) for call in calls]
    assert bool(made) == (once != calls)
    assert as_said(once, talk, tools) == (once, [])
