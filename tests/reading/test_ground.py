"""What nothing in the conversation backs is dropped and reported; what is derived is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.ground import grounded
from selfopt.records import ExpectedCall, Message, Prompt, ToolCall, ToolDefinition
from selfopt.suites import load_suite

from .test_schema import ROOTS, VALUES


def kept(said: str, value: Any, schema: dict[str, Any] | None = None, *, needed: bool = True) -> tuple[Any, list[str]]:
    """The value of the argument `v` if it is left, and what was reported."""
    part = schema or {}
    tools = [ToolDefinition(name="f", parameters={"properties": {"v": part}, "required": ["v"] if needed else []})]
    calls, made = grounded([ToolCall(name="f", arguments={"v": value})], [Message(role="user", content=said)], tools)
    return (calls[0].arguments.get("v") if calls else None), [one.kind for one in made]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("Who streams it in Argentina?", "AR"),
        ("change it into euros", "EUR"),
        ("translate into German", "de"),
        ("in American English", "en-US"),
        ("the time in Berlin", "Europe/Berlin"),
        ("how warm is it", "celsius"),
        ("in Málaga", "Malaga"),
        ("in Lisbon", "Lisbon, Portugal"),
        ("who is best in SF?", "San Francisco, CA"),
        ("Погода в Москве", "Moscow"),
        ("order L 40912", "L-40912"),
        ("mail Ravi at Oaktree", "ravi@oaktree.example"),
        ("plot x squared", "x**2"),
        ("two hours", 120),
        ("on 9 June", "2031-06-09"),
        ("anything", True),
        ("rooms 3 and 5", [3, 5]),
        ("two all", {"home": 2, "away": 2}),
    ],
)
def test_what_is_said_or_derived_from_it_is_believed(said: str, value: Any) -> None:
    assert kept(said, value) == (value, [])


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("a table for 4", 7),
        ("on 9 June", "2031-07-10"),
        ("at 4 pm", "11:00"),
        ("how is the weather", "Paris"),
        ("order L-40912", "L-77777"),
        ("write to them", "jane@example.com"),
        ("a table for 4", ""),
        ("a table for 4", None),
        ("rooms 3 and 5", [3, 99]),
    ],
)
def test_a_call_whose_required_argument_nobody_said_is_dropped_and_reported(said: str, value: Any) -> None:
    assert kept(said, value) == (None, ["call_not_backed"])


def test_choices_and_defaults_are_believed() -> None:
    assert kept("somewhere", "b", {"enum": ["a", "b"]}) == ("b", [])
    assert kept("somewhere", 30, {"type": "integer", "default": 30}) == (30, [])


def test_an_optional_argument_that_nobody_said_is_dropped_alone() -> None:
    assert kept("a table for 4", 7, needed=False) == (None, ["not_backed"])
    assert kept("a table for 7", 7, needed=False) == (7, [])


def test_texts_that_nobody_said_leave_a_list() -> None:
    texts = {"type": "array", "items": {"type": "string"}}
    assert kept("with Ana and Tom", ["Ana", "Tom", "Bob", "Ana"], texts) == (["Ana", "Tom"], ["not_backed"])
    assert kept("with nobody", ["Bob"], texts) == (None, ["call_not_backed"])


def test_a_list_does_not_repeat_another_argument() -> None:
    """A small model takes the title for a guest; a list of nothing else stays."""
    tools = [ToolDefinition(name="meet", parameters={"properties": {"title": {}, "guests": {}}, "required": ["title", "guests"]})]
    said = [Message(role="user", content="Roof repair with Olu")]
    for guests, left in ((["Olu", "Roof repair"], ["Olu"]), (["Roof repair"], ["Roof repair"])):
        (call,), _ = grounded([ToolCall(name="meet", arguments={"title": "Roof repair", "guests": guests})], said, tools)
        assert call.arguments["guests"] == left


def test_a_tool_result_counts_as_said() -> None:
    tools = [ToolDefinition(name="f", parameters={"properties": {"id": {"type": "string"}}, "required": ["id"]})]
    messages = [Message(role="user", content="cancel it"), Message(role="tool", content='{"id": "RS-63377"}', name="f")]
    call = ToolCall(name="f", arguments={"id": "RS-63377"})
    assert grounded([call], messages, tools) == ([call], [])


def test_a_missing_required_argument_drops_the_call_and_names_it() -> None:
    tools = [ToolDefinition(name="f", parameters={"properties": {"id": {"type": "string"}}, "required": ["id"]})]
    calls, (made,) = grounded([ToolCall(name="f"), ToolCall(name="g")], [], tools)
    assert calls == [ToolCall(name="g")], "a tool that is not offered stays"
    assert (made.kind, made.tool, made.argument) == ("call_not_backed", "f", "id")


def first_call(expected: ExpectedCall) -> ToolCall:
    """The call with the first of the values that are accepted for each argument."""
    values = {key: accepted[0] for key, accepted in expected.arguments.items() if accepted[0] != ""}
    plain = {
        key: value["any_order"] if isinstance(value, dict) and "any_order" in value else value for key, value in values.items()
    }
    return ToolCall(name=expected.name, arguments=plain)


def _survive(prompt: Prompt, tools: tuple[ToolDefinition, ...]) -> list[bool]:
    expected = prompt.expected[0] if prompt.expected and prompt.expected != "any" else ()
    calls = [first_call(call) for call in expected]
    return [grounded([call], prompt.messages, tools) == ([call], []) for call in calls]


@pytest.mark.parametrize(
    ("name", "share"),
    [("atomic", 1.0), ("extended", 1.0), ("atomic-300", 0.99), ("atomic-150b", 1.0), ("extended-160", 0.97)],
)
def test_the_expected_calls_of_the_suites_survive(name: str, share: float) -> None:
    suite = load_suite(name)
    survive = [one for prompt in suite.prompts for one in _survive(prompt, suite.tool_sets[prompt.tool_set])]
    assert sum(survive) >= share * len(survive)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "d"]), VALUES, max_size=3), max_size=3), ROOTS, st.text(max_size=20))
def test_grounding_raises_nothing_adds_nothing_and_does_the_same_for_each_alone(
    given_arguments: list[dict[str, Any]], root: dict[str, Any], said: str
) -> None:
    tools = [ToolDefinition(name="f", parameters=root)]
    messages = [Message(role="user", content=said.encode("utf-8", "replace").decode())]
    calls = [ToolCall(name="f", arguments=arguments) for arguments in given_arguments]
    left, _ = grounded(calls, messages, tools)
    assert left == [one for call in calls for one in grounded([call], messages, tools)[0]]
    assert all(
        one.arguments.keys() <= call.arguments.keys() for one, call in zip(left, calls, strict=False) if len(left) == len(calls)
    )
