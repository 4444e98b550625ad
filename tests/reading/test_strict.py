"""A call is believed only if somebody said what each of its required arguments holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.ground import grounded
from selfopt.reading.strict import strictly_backed
from selfopt.records import Message, ToolCall, ToolDefinition
from selfopt.suites import load_suite

from .test_ground import first_call
from .test_schema import ROOTS, VALUES

ROOM = {"type": "string", "enum": ["living_room", "bedroom", "study"]}


def kept(said: str, schema: dict[str, Any], **arguments: Any) -> bool:
    """Whether a call with these arguments is left; all properties of the schema are required."""
    tools = [ToolDefinition(name="f", parameters={"properties": schema, "required": list(schema)})]
    calls, made = strictly_backed([ToolCall(name="f", arguments=arguments)], [Message(role="user", content=said)], tools)
    assert [one.kind for one in made] == ([] if calls else ["call_not_backed"])
    return bool(calls)


@pytest.mark.parametrize(
    ("said", "schema", "value"),
    [
        ("How warm is it in the bedroom?", ROOM, "bedroom"),
        ("the bedrooms", ROOM, "bedroom"),
        ("Wie warm ist es im Schlafzimmer, und was ist mit der Heizung?", ROOM, "bedroom"),
        ("into euros", {"type": "string"}, "EUR"),
        ("on 9 June", {"type": "string"}, "2031-06-09"),
        ("two of them", {"type": "integer"}, 2),
        ("tell them the train is late", {"type": "string"}, "The train is late."),
        ("anything", {"type": "boolean"}, True),
        ("anything", {"type": "string", "default": "all"}, "all"),
    ],
)
def test_what_somebody_said_is_believed(said: str, schema: dict[str, Any], value: Any) -> None:
    tools = [ToolDefinition(name="f", description="Set the heating of a room.", parameters={"properties": {"v": schema}})]
    calls, made = strictly_backed([ToolCall(name="f", arguments={"v": value})], [Message(role="user", content=said)], tools)
    assert (len(calls), made) == (1, [])


@pytest.mark.parametrize(
    ("said", "schema", "value"),
    [
        ("Do you hear us talking?", ROOM, "living_room"),
        ("Who built you?", {"type": "string"}, "Paris"),
        ("a cut of thirty seconds", {"type": "string"}, "track named my favourite song"),
        ("at four", {"type": "integer"}, 7),
    ],
)
def test_a_call_with_a_required_argument_that_nobody_said_is_dropped(said: str, schema: dict[str, Any], value: Any) -> None:
    assert not kept(said, {"v": schema}, v=value)


def test_one_text_does_not_back_two_arguments() -> None:
    places = {"from": {"type": "string"}, "to": {"type": "string"}}
    assert not kept("I get on in Lund.", places, **{"from": "Lund", "to": "Lund"})
    assert kept("From Lund to Malmö.", places, **{"from": "Lund", "to": "Malmö"})


def test_a_missing_required_argument_needs_a_default() -> None:
    assert not kept("play", {"v": {"type": "string"}})
    assert kept("play", {"v": {"type": "string", "default": "x"}})


def test_a_call_of_a_tool_that_is_not_offered_is_left_to_others() -> None:
    call = ToolCall(name="g", arguments={"v": 1})
    assert strictly_backed([call], [], []) == ([call], [])


@pytest.mark.parametrize(("name", "share"), [("atomic", 1.0), ("extended", 1.0), ("atomic-300", 0.95), ("extended-160", 0.93)])
def test_most_right_calls_of_the_suites_are_believed(name: str, share: float) -> None:
    suite = load_suite(name)
    believed = [
        bool(strictly_backed([first_call(call)], prompt.messages, suite.tools_of(prompt))[0])
        for prompt in suite.prompts
        if prompt.needs_call and prompt.expected != "any"
        for call in prompt.expected[0]
    ]
    assert sum(believed) >= share * len(believed), f"{sum(believed)} of {len(believed)}"


@given(st.text(max_size=200), VALUES, ROOTS)
def test_it_only_drops_and_drops_what_ground_drops(said: str, value: Any, root: dict[str, Any]) -> None:
    tools = [ToolDefinition(name="f", parameters=root)]
    calls = [ToolCall(name="f", arguments={"v": value}), ToolCall(name="f", arguments={})]
    talk = [Message(role="user", content=said)]
    left, made = strictly_backed(calls, talk, tools)
    assert all(call in calls for call in left)
    assert len(left) + len(made) == len(calls)
    assert len(grounded(left, talk, tools)[0]) == len(left)
