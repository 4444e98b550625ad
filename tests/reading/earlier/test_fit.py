"""Calls in the names and types of the tools; none lost, none added."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading import read_calls
from selfopt.reading.earlier.fit import fit_calls
from selfopt.records import ChainName, Message, ReplyContent, ToolCall, ToolDefinition
from selfopt.variants import get_variant

KINDS = ("string", "integer", "number", "boolean", "array", "object")


def tool(name: str, properties: dict[str, Any], *required: str) -> ToolDefinition:
    return ToolDefinition(name=name, parameters={"type": "object", "properties": properties, "required": list(required)})


FORECAST = tool(
    "weather.forecast",
    {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"enum": ["Celsius", "Fahrenheit"]},
        "hours": {"type": "array", "items": {"type": "integer"}},
        "detail": {"type": "object", "properties": {"wind": {"type": "boolean"}, "share": {"type": "number"}}},
    },
    "city",
    "days",
)
TIDES = tool("tides", {"harbour": {"type": "string"}}, "harbour")
SAID = "Forecast for Oslo, 3 days, celsius, hours 6 and 18, with wind and a share of 2.5"


def fitted(name: str = "weather.forecast", said: str = SAID, **arguments: Any) -> ToolCall:
    (call,) = fit_calls([ToolCall(name=name, arguments=arguments)], [Message(role="user", content=said)], [FORECAST, TIDES])
    return call


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("days", "3", 3),
        ("days", 3.0, 3),
        ("days", 3.5, 3.5),
        ("days", "three", "three"),
        ("days", True, True),
        ("city", 3, "3"),
        ("city", True, True),
        ("unit", "celsius", "Celsius"),
        ("hours", 6, [6]),
        ("hours", ["6", 18], [6, 18]),
        ("detail", {"wind": "True", "share": "2.5"}, {"wind": True, "share": 2.5}),
    ],
)
def test_a_value_gets_the_type_of_its_schema_where_nothing_is_lost(key: str, value: Any, expected: Any) -> None:
    arguments: dict[str, Any] = {"city": "Oslo", "days": 3, key: value}
    found = fitted(**arguments).arguments[key]
    assert found == expected
    assert type(found) is type(expected)


def test_an_optional_argument_that_nobody_asked_for_is_left_out() -> None:
    assert fitted(said="Oslo, 3 days", city="Oslo", days=3, unit="Fahrenheit").arguments == {"city": "Oslo", "days": 3}
    assert fitted(city="Oslo", days=3, unit="Celsius").arguments["unit"] == "Celsius"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("9.8 m/s2", 9.8),
        ("4,5 Sterne", 4.5),
        ("$2,000,000", 2_000_000),
        ("1.000 Euro", 1000),
        ("rooms 6,18", 18),
        ("٣ أيام", 3),
        ("at 9am", 9),
    ],
)
def test_figures_are_heard_as_people_write_them(said: str, value: float) -> None:
    """A mark between digits means one thing here and another there, and digits have more than one script."""
    asked = [Message(role="user", content=said)]
    parts = {name: {"type": "number"} for name in ("heard", "made_up")}
    call = ToolCall(name="count", arguments={"heard": value, "made_up": 42})
    (found,) = fit_calls([call], asked, [tool("count", parts)])
    assert found.arguments == {"heard": value}


def test_a_switch_that_nobody_named_is_left_out() -> None:
    """A word of its name has to be said; whether it is on or off then is the model's to say."""
    parts: dict[str, Any] = {"city": {"type": "string"}, "include_description": {"type": "boolean"}}
    (call,) = fit_calls(
        [ToolCall(name="find", arguments={"city": "Oslo", "include_description": True})],
        [Message(role="user", content="Oslo, please")],
        [tool("find", parts, "city")],
    )
    assert call.arguments == {"city": "Oslo"}
    (call,) = fit_calls(
        [ToolCall(name="find", arguments={"city": "Oslo", "include_description": False})],
        [Message(role="user", content="Oslo, without descriptions")],
        [tool("find", parts, "city")],
    )
    assert call.arguments == {"city": "Oslo", "include_description": False}


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
    call = ToolCall(name="dine", arguments={"features": ["Patio", "Vegan", "Wi-Fi"]})
    (found,) = fit_calls([call], [Message(role="user", content=said)], [tool("dine", parts, "features")])
    assert found.arguments["features"] == kept


def test_a_call_whose_required_argument_nobody_said_is_kept() -> None:
    """Unlike under `ground`: the caller may know better, and the value may be a translation of what was said."""
    assert fitted(said="How is it there?", city="Narnia", days=7).arguments == {"city": "Narnia", "days": 7}


def test_an_unknown_name_becomes_that_of_the_only_tool_that_takes_the_arguments() -> None:
    assert fitted("get_weather", city="Oslo", days=3).name == "weather.forecast"
    assert fitted("get_water", harbour="Oslo").name == "tides"
    assert fitted("get_water", harbour="Oslo", depth=3).name == "get_water", "no tool takes a depth"
    assert fitted("get_water").name == "get_water", "nothing to tell by"


def test_an_unknown_name_stays_where_two_tools_take_the_arguments() -> None:
    twin = TIDES.model_copy(update={"name": "currents"})
    call = ToolCall(name="get_water", arguments={"harbour": "Oslo"})
    assert fit_calls([call], [Message(role="user", content="Oslo")], [TIDES, twin]) == [call]


CHAIN: tuple[ChainName, ...] = ("native", "json", "fit")


def test_a_chain_with_fit_reads_as_the_chain_does_and_fits_the_calls() -> None:
    reply = ReplyContent(text='{"name": "get_water", "arguments": {"harbour": 7}}', finish_reason="stop")
    asked = [Message(role="user", content="When is high water at 7?")]
    plain, fitting = read_calls(CHAIN[:2], reply, [TIDES], asked), read_calls(CHAIN, reply, [TIDES], asked)
    assert plain.tool_calls == (ToolCall(name="get_water", arguments={"harbour": 7}),)
    assert fitting.tool_calls == (ToolCall(name="tides", arguments={"harbour": "7"}),)
    assert fitting.recognised.endswith("fitted"), "whoever looks at a verdict sees that the reply said something else"


def test_a_chain_with_fit_leaves_text_and_unread_formats_as_they_are() -> None:
    for text in ("High water is at noon.", "none", '[tides(harbour="Oslo")]'):
        reply = ReplyContent(text=text, finish_reason="stop")
        assert read_calls(CHAIN, reply, [TIDES]) == read_calls(CHAIN[:2], reply, [TIDES])


def test_fitting_costs_no_request() -> None:
    """It is a matter of reading: the same trials serve all variants that differ in it alone."""
    assert get_variant("fitted").render_content() == get_variant("native_parsed").render_content()
    assert get_variant("fitted").parser_hash != get_variant("native_parsed").parser_hash


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
schemas = st.recursive(
    st.sampled_from(KINDS).map(lambda kind: {"type": kind}) | st.just({}) | st.just({"enum": ["A", "b", 1]}),
    lambda inner: inner.map(lambda item: {"type": "array", "items": item}),
    max_leaves=3,
)


@given(
    arguments=st.dictionaries(st.sampled_from("abcd"), json_values, max_size=4),
    properties=st.dictionaries(st.sampled_from("abcd"), schemas, max_size=4),
    names=st.lists(st.sampled_from(["known", "other"]), max_size=3),
    said=st.text(max_size=40),
)
def test_no_call_is_lost_and_fitting_twice_changes_nothing(
    arguments: dict[str, Any], properties: dict[str, Any], names: list[str], said: str
) -> None:
    tools = [tool("known", properties, *list(properties)[:2])]
    calls = [ToolCall(name=name, arguments=arguments) for name in names]
    talk = [Message(role="user", content=said)]
    once = fit_calls(calls, talk, tools)
    assert len(once) == len(calls)
    assert fit_calls(once, talk, tools) == once
    for before, after in zip(calls, once, strict=True):
        assert set(after.arguments) <= set(before.arguments)


@given(schema=json_values, arguments=st.dictionaries(st.sampled_from("ab"), json_values, max_size=2))
def test_no_schema_makes_it_fail(schema: Any, arguments: dict[str, Any]) -> None:
    parameters = schema if isinstance(schema, dict) else {"properties": {"a": schema}, "required": schema}
    broken = ToolDefinition(name="known", parameters=parameters)
    for name in ("known", "other"):
        assert len(fit_calls([ToolCall(name=name, arguments=arguments)], [Message(role="user", content="a b 1")], [broken])) == 1
