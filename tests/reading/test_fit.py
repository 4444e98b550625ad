"""Calls in the names and types of the tools; none lost, none added, and each change reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.fit import fit_calls, fitted
from selfopt.records import Message, ToolCall, ToolDefinition

from .test_schema import ROOTS, VALUES

INTEGER, TEXT = {"type": "integer"}, {"type": "string"}


def tool(properties: dict[str, Any], *required: str, name: str = "f", **more: Any) -> ToolDefinition:
    return ToolDefinition(name=name, parameters={"type": "object", "properties": properties, "required": list(required), **more})


def fit(
    arguments: dict[str, Any], offered: ToolDefinition, said: str = ""
) -> tuple[dict[str, Any], list[tuple[str, str | None]]]:
    (call,), made = fitted([ToolCall(name="f", arguments=arguments)], [Message(role="user", content=said)], [offered])
    return call.arguments, [(one.kind, one.argument) for one in made]


@pytest.mark.parametrize(
    ("schema", "value", "expected", "kind"),
    [
        ({"type": ["integer", "string"]}, 5, 5, None),
        ({"type": ["integer", "string"]}, "5", "5", None),
        ({"anyOf": [INTEGER, {"type": "array", "items": INTEGER}]}, "5", 5, "type"),
        ({"type": "array", "items": INTEGER}, "[1, 2]", [1, 2], "type"),
        ({"type": "array", "items": INTEGER}, ["1", 2.0], [1, 2], "type"),
        ({"type": "array", "items": INTEGER}, "1", [1], "type"),
        ({"type": "array", "items": {"type": "array"}}, [1, 2], [1, 2], "not_fitted"),
        ({"type": "array", "items": TEXT}, [["x"]], [["x"]], "not_fitted"),
        ({"type": "array", "items": TEXT}, "a, b", "a, b", "not_fitted"),
        ({"type": "array", "prefixItems": [INTEGER, TEXT]}, ["5", 6], [5, "6"], "type"),
        ({"type": "object", "additionalProperties": INTEGER}, {"x": "5"}, {"x": 5}, "type"),
        ({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "boolean"}}}}},
         {"a": {"b": "true"}}, {"a": {"b": True}}, "type"),
        ({"type": "object"}, json.dumps(json.dumps({"a": 1})), {"a": 1}, "type"),
        ({"type": "object"}, "broken {", "broken {", "not_fitted"),
        ({"enum": [1, 2]}, "2", 2, "type"),
        ({"enum": ["1", "2"]}, 1.0, "1", "type"),
        ({"enum": ["in_progress", "done"]}, "In Progress", "in_progress", "choice"),
        ({"enum": ["x", "X"]}, " x", " x", "not_fitted"),
        ({"const": 5}, "5", 5, "type"),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/E"}]}, "RED", "red", "choice"),
        ({"type": "integer"}, True, True, "not_fitted"),
        ({"type": "integer"}, "", "", "not_fitted"),
        ({"type": "integer"}, "3.5", "3.5", "not_fitted"),
        ({"type": "string"}, None, None, "not_fitted"),
        ({"type": ["integer", "null"]}, "null", None, "type"),
    ],
)  # fmt: skip
def test_a_value_takes_the_type_of_its_schema_where_nothing_is_lost(
    schema: Any, value: Any, expected: Any, kind: str | None
) -> None:
    """What can't be fitted stays as it came and is reported."""
    more: dict[str, Any] = {"$defs": {"E": {"enum": ["red"]}}}
    found, made = fit({"v": value}, tool({"v": schema}, "v", **more))
    assert found["v"] == expected
    assert type(found["v"]) is type(expected)
    assert made == ([(kind, "v")] if kind else [])


def test_an_object_takes_the_types_of_the_alternative_that_it_fits() -> None:
    circle = {"type": "object", "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}}, "required": ["kind", "r"]}
    square = {"type": "object", "properties": {"kind": {"const": "square"}, "w": INTEGER}, "required": ["kind", "w"]}
    found, _ = fit({"v": {"kind": "square", "w": "5"}}, tool({"v": {"oneOf": [circle, square]}}, "v"))
    assert found == {"v": {"kind": "square", "w": 5}}


@pytest.mark.parametrize("more", [{}, {"additionalProperties": False}])
def test_an_argument_that_the_schema_does_not_know_is_dropped_and_reported(more: dict[str, Any]) -> None:
    found, made = fit({"city": "Oslo", "mood": "good"}, tool({"city": TEXT}, "city", **more))
    assert found == {"city": "Oslo"}
    assert made == [("unknown_argument", "mood")]


@pytest.mark.parametrize(
    "more", [{"additionalProperties": True}, {"additionalProperties": {"type": "string"}}, {"patternProperties": {"^m": {}}}]
)
def test_an_argument_that_the_schema_allows_without_listing_it_stays(more: dict[str, Any]) -> None:
    assert fit({"city": "Oslo", "mood": "good"}, tool({"city": TEXT}, "city", **more)) == ({"city": "Oslo", "mood": "good"}, [])
    assert fit({"mood": "good"}, ToolDefinition(name="f", parameters={"type": "object"})) == ({"mood": "good"}, [])


def test_an_argument_spelled_almost_right_takes_its_name() -> None:
    offered = tool({"start_date": TEXT, "end_date": TEXT}, "start_date", "end_date")
    assert fit({"startDate": "x", "end-date": "y"}, offered) == (
        {"start_date": "x", "end_date": "y"},
        [("name", "start_date"), ("name", "end_date")],
    )
    assert fit({"start_date": "x", "startDate": "z"}, offered)[0] == {"start_date": "x"}, "the name is taken"
    assert fit({"startDate": "x", "StartDate": "z"}, offered)[0] == {}, "nobody can tell which was meant"


def test_an_unknown_name_becomes_that_of_the_only_tool_that_takes_the_arguments() -> None:
    tools = [tool({"city": TEXT, "days": INTEGER}, "city", name="forecast"), tool({"harbour": TEXT}, "harbour", name="tides")]
    (call,), (made,) = fitted([ToolCall(name="get_weather", arguments={"city": "Oslo"})], [], tools)
    assert (call.name, made.kind, made.tool) == ("forecast", "name", "forecast")
    unclear = [ToolCall(name="get", arguments={}), ToolCall(name="get", arguments={"depth": 3})]
    assert fitted(unclear, [], tools) == (unclear, [])


@pytest.mark.parametrize(
    ("said", "value", "kept"),
    [
        ("9.8 m/s2", 9.8, True),
        ("4,5 Sterne", 4.5, True),
        ("$2,000,000", 2_000_000, True),
        ("1.000 Euro", 1000, True),
        ("٣ أيام", 3, True),
        ("twenty-five of them", 25, True),
        ("three of us", 42, False),
        ("in a while", 42, False),
    ],
)
def test_an_optional_number_that_nobody_asked_for_is_left_out_and_reported(said: str, value: float, kept: bool) -> None:
    found, made = fit({"n": value}, tool({"n": {"type": "number"}}), said)
    assert (found, made) == (({"n": value}, []) if kept else ({}, [("not_asked_for", "n")]))


def test_an_optional_switch_or_choice_stays_if_it_was_named_or_said_in_another_language() -> None:
    parts = {"city": TEXT, "include_description": {"type": "boolean"}, "cabin": {"enum": ["economy", "business"]}}
    offered = tool(parts, "city").model_copy(update={"description": "Look up the flights to a city and say what is in it."})
    given = {"city": "Oslo", "include_description": True, "cabin": "business"}
    assert fit(given, offered, "To Oslo, please, and be quick about it")[0] == {"city": "Oslo"}
    assert fit(given, offered, "To Oslo in business, with descriptions")[0] == given
    assert fit(given, offered, "Zeig mir bitte die Fluege nach Oslo in der vornehmen Klasse")[0] == given


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("somewhere with a patio", ["Patio"]),
        ("vegetarian, on the patio", ["Patio", "Vegan"]),
        ("surprise me", ["Patio", "Vegan", "Wi-Fi"]),
    ],
)
def test_of_a_list_of_choices_those_stay_that_were_named(said: str, kept: list[str]) -> None:
    """Small models go through the whole list. Where none was named in the tool's own words it is left alone."""
    parts = {"features": {"type": "array", "items": {"type": "string", "enum": ["Patio", "Vegan", "Wi-Fi"]}}}
    assert fit({"features": ["Patio", "Vegan", "Wi-Fi"]}, tool(parts, "features"), said)[0] == {"features": kept}


@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "A", "d"]), VALUES, max_size=3), max_size=3), ROOTS, st.text(max_size=20)
)
def test_fitting_raises_nothing_keeps_all_calls_and_does_the_same_for_each_alone(
    given_arguments: list[dict[str, Any]], root: dict[str, Any], said: str
) -> None:
    tools = [ToolDefinition(name="f", parameters=root)]
    messages = [Message(role="user", content=said.encode("utf-8", "replace").decode())]
    calls = [ToolCall(name="f", arguments=arguments) for arguments in given_arguments]
    once = fit_calls(calls, messages, tools)
    assert len(once) == len(calls)
    assert once == [one for call in calls for one in fit_calls([call], messages, tools)]


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_text_is_no_list_of_one(empty: str) -> None:
    """It may as well mean an empty list, so it stays and is reported."""
    body = {"properties": {"v": {"type": "array", "items": {"type": "string"}}}, "required": ["v"]}
    tools = (ToolDefinition(name="f", parameters=body),)
    (call,), made = fitted([ToolCall(name="f", arguments={"v": empty})], [Message(role="user", content="f v")], tools)
    assert call.arguments == {"v": empty}
    assert [one.kind for one in made] == ["not_fitted"]
