"""Which values are tool calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.readers.names import Names
from selfopt.reading.readers.shapes import shape_of
from selfopt.records import ToolDefinition
from tests.examples import some_of

STRING = {"type": "string"}
NAMES = Names.of(
    (
        ToolDefinition(name="city_weather", parameters={"properties": {"city": STRING}, "required": ["city"]}),
        ToolDefinition(name="set_timer", parameters={"properties": {"minutes": {"type": "number"}, "label": STRING}}),
        ToolDefinition(name="list_alarms", parameters={"properties": {}}),
        ToolDefinition(name="make", parameters={"properties": {"input": STRING, "type": STRING, "fields": {"type": "object"}}}),
    )
)
GRAZ = ("city_weather", {"city": "Graz"})
BERN = ("city_weather", {"city": "Bern"})
ARGUMENTS = {"city": "Graz"}
PLAIN = {"name": "city_weather", "arguments": ARGUMENTS}
OTHER = {"name": "city_weather", "arguments": {"city": "Bern"}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def calls(value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments of the calls of offered tools."""
    return [(call.name, call.arguments) for call in shape_of(value, NAMES).calls]


@pytest.mark.parametrize(
    "arguments", ["arguments", "parameters", "args", "params", "input", "kwargs", "tool_input", "action_input"]
)
@pytest.mark.parametrize("name", ["name", "tool", "tool_name", "toolName", "function", "func", "action", "recipient_name"])
def test_a_call_is_read_under_every_pair_of_keys(name: str, arguments: str) -> None:
    """As prompts, templates and APIs name them."""
    assert calls({name: "city_weather", arguments: ARGUMENTS}) == [GRAZ]
    assert calls({"id": "1", "type": "function", name: "functions.city_weather", arguments: json.dumps(ARGUMENTS)}) == [GRAZ]


@pytest.mark.parametrize(
    "key",
    ["tool_calls", "toolCalls", "tool_uses", "function_calls", "calls", "function_call", "functionCall", "tool_call", "toolCall"],
)
def test_a_wrapper_holds_a_list_an_object_or_either_as_text(key: str) -> None:
    """With the call beside or within `function`."""
    for wrapped in (PLAIN, {"function": PLAIN}, {"type": "function", "function": {**PLAIN, "arguments": json.dumps(ARGUMENTS)}}):
        assert calls({key: wrapped}) == [GRAZ]
        assert calls({key: json.dumps(wrapped)}) == [GRAZ]
        assert calls({"role": "assistant", "content": None, key: [wrapped, OTHER]}) == [GRAZ, BERN]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ([PLAIN, OTHER], [GRAZ, BERN]),
        ([json.dumps(PLAIN), OTHER], [GRAZ, BERN]),
        ({"arguments": ARGUMENTS, "type": "city_weather"}, [GRAZ]),
        ({"type": "function", "function": "city_weather", "parameters": ARGUMENTS}, [GRAZ]),
        ({"function": {"name": "city_weather"}, "arguments": ARGUMENTS}, [GRAZ]),
        ({"city_weather": ARGUMENTS}, [GRAZ]),
        ({"city_weather": ARGUMENTS, "list_alarms": {}}, [GRAZ, ("list_alarms", {})]),
        ({"city_weather": [ARGUMENTS, {"city": "Bern"}]}, [GRAZ, BERN]),
        ([{"city_weather": ARGUMENTS}, {"list_alarms": None}], [GRAZ, ("list_alarms", {})]),
        ({"choices": [{"message": {"role": "assistant", "tool_calls": [{"function": PLAIN}]}}]}, [GRAZ]),
        ({"message": {"role": "assistant", "function_call": PLAIN}}, [GRAZ]),
        ({"content": [{"type": "text", "text": "x"}, {"type": "tool_use", "name": "city_weather", "input": ARGUMENTS}]}, [GRAZ]),
        ({"output": [{"type": "function_call", "name": "city_weather", "arguments": json.dumps(ARGUMENTS)}]}, [GRAZ]),
        ({"candidates": [{"content": {"parts": [{"functionCall": {"name": "city_weather", "args": ARGUMENTS}}]}}]}, [GRAZ]),
        ({"tool_uses": [{"recipient_name": "functions.city_weather", "parameters": ARGUMENTS}]}, [GRAZ]),
        ({"name": "multi_tool_use.parallel", "arguments": {"tool_uses": [{"recipient_name": "city_weather", "parameters": ARGUMENTS}]}}, [GRAZ]),
        ({"thought": "look", "tool": "city_weather", "tool_input": ARGUMENTS}, [GRAZ]),
    ],
)  # fmt: skip
def test_a_call_is_read_in_every_wrapping(value: Any, read: Any) -> None:
    """Lists, messages of APIs, parallel uses, tools as keys."""
    assert calls(value) == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (json.dumps(ARGUMENTS), ARGUMENTS),
        (json.dumps(json.dumps(ARGUMENTS)), ARGUMENTS),
        (json.dumps(json.dumps(json.dumps(ARGUMENTS))), ARGUMENTS),
        ("{'city': 'Graz',}", ARGUMENTS),
        ([ARGUMENTS], ARGUMENTS),
        (["Graz"], ARGUMENTS),
        ([{"name": "city", "value": "Graz"}], ARGUMENTS),
        ("Graz", ARGUMENTS),
        ("city=Graz", ARGUMENTS),
        ("city: 'Graz'", ARGUMENTS),
        (None, {}),
        ("", {}),
        ([], {}),
    ],
)
def test_arguments_are_taken_from_what_stands_in_their_place(given: Any, read: Any) -> None:
    """Texts, lists and values without a name, where only one thing can be meant."""
    assert calls({"name": "city_weather", "arguments": given}) == [("city_weather", read)]


@pytest.mark.parametrize("given", ["some text", ["a", "b", "c"], 3, True])
def test_arguments_that_cannot_be_told_are_unread(given: Any) -> None:
    """Not emptied: the tool has two arguments, and which is meant is not said."""
    shape = shape_of({"name": "set_timer", "arguments": given}, NAMES)
    assert (shape.calls, shape.unread) == ([], True)


def test_arguments_may_stand_beside_the_name() -> None:
    """If the tool knows all of them; else the object is something else."""
    assert calls({"name": "set_timer", "minutes": 5}) == [("set_timer", {"minutes": 5})]
    assert calls({"tool": "make", "input": "x"}) == [("make", {"input": "x"})]
    assert calls({"name": "list_alarms"}) == [("list_alarms", {})]
    assert calls({"name": "city_weather", "content": {"city": "Graz"}}) == []
    assert calls({"name": "set_timer", "price": 3}) == []


@pytest.mark.parametrize(
    "value",
    [
        {"name": "city_weather", "parameters": SCHEMA},
        {"name": "city_weather", "description": "x", "parameters": SCHEMA},
        {"name": "city_weather", "description": "x", "input_schema": {"type": "object"}},
        {"name": "list_alarms", "description": "x", "parameters": {}},
        {"type": "function", "function": {"name": "city_weather", "parameters": SCHEMA}},
        {"name": "city_weather", "parameters": {"$ref": "#/x"}},
        {"name": "city_weather", "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]}},
        {"name": "city_weather", "parameters": {"city": {"type": "string", "description": "Name"}}},
        {"name": "city_weather", "arguments": {"city": {"description": "Name", "enum": ["Graz"]}}},
        {"city_weather": {"city": {"type": "string"}}},
        {"city_weather": {"description": "x", "parameters": {"city": "string"}}},
        {"tools": [{"name": "city_weather", "parameters": SCHEMA}]},
        [{"name": "city_weather", "parameters": SCHEMA}, {"name": "list_alarms", "parameters": {"type": "object"}}],
    ],
)
def test_definitions_are_no_calls(value: Any) -> None:
    """Models repeat the tools that they were offered."""
    shape = shape_of(value, NAMES)
    assert (shape.everything, shape.unread) == ([], False)


def test_arguments_that_use_words_of_schemas_are_arguments() -> None:
    """Where the tool has such properties."""
    given = {"type": "object", "fields": {"type": "string", "default": "x"}}
    assert calls({"name": "make", "arguments": given}) == [("make", given)]


@pytest.mark.parametrize(
    "value",
    [
        {"role": "tool", "name": "city_weather", "content": "3"},
        {"role": "user", "content": json.dumps(PLAIN)},
        {"name": "Ann", "age": 3},
        {"name": "svc", "parameters": {"port": 80}, "replicas": 2},
        {"city": "Graz"},
        {"items": [PLAIN]},
        {"action": "Final Answer", "action_input": "x"},
        {"name": "Bingo", "type": "dog"},
        [],
        [1, "x"],
        3,
    ],
)
def test_results_and_data_are_no_calls(value: Any) -> None:
    """Of no tool, offered or not."""
    assert shape_of(value, NAMES).everything == []


@pytest.mark.parametrize("value", [{"name": "none"}, {"name": "none", "arguments": {}}, {"tool": None}, {"tool_calls": []}, {"tool_calls": [], "content": "hi"}, {"tool_name": "directly_answer", "parameters": {}}])  # fmt: skip
def test_a_value_may_say_that_nothing_is_called(value: Any) -> None:
    """By a name that means none, or by an empty list."""
    shape = shape_of(value, NAMES)
    assert (shape.everything, shape.no_call) == ([], True)


def test_a_call_of_another_tool_is_kept_apart() -> None:
    """In its place among the others; only an object that can hardly be anything else is one."""
    shape = shape_of([PLAIN, {"name": "absent", "arguments": {"a": 1}}, OTHER], NAMES)
    assert [call.name for call in shape.everything] == ["city_weather", "absent", "city_weather"]
    assert len(shape.calls) == 2


@settings(max_examples=some_of(300))
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.sampled_from(["city_weather", "none", "{", '{"name": "make"}', "object", ""]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "function", "arguments", "tool_calls", "type", "properties", "city_weather", "role", "input"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_no_value_makes_it_raise(value: Any) -> None:
    """Whatever stands where."""
    shape_of(value, NAMES)
