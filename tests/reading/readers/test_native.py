"""Calls that the server reported, whole or damaged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.parts import Parts
from selfopt.reading import read_calls
from selfopt.reading.readers.native import READER
from selfopt.records import Correction, ReplyContent, ToolCall, ToolDefinition

TOOLS = (
    ToolDefinition(name="city_weather", parameters={"properties": {"city": {"type": "string"}}}),
    ToolDefinition(name="math.gcd"),
)
GRAZ = ToolCall(name="city_weather", arguments={"city": "Graz"})


def reported(*calls: tuple[Any, Any], finish: Any = "tool_calls") -> ReplyContent:
    """A reply whose server reported these names and arguments."""
    parts = Parts(finish=finish)
    for name, arguments in calls:
        parts.add_call(name, arguments, None)
    return parts.content()


@pytest.mark.parametrize(
    "arguments",
    [
        '{"city": "Graz",}',
        "{'city': 'Graz'}",
        '{"city": "Graz"',
        '{"city": "Graz"}}',
        json.dumps('{"city": "Graz"}'),
        json.dumps(json.dumps('{"city": "Graz"}')),
        '```json\n{"city": "Graz"}\n```',
    ],
)
def test_broken_arguments_are_mended(arguments: str) -> None:
    """And the correction is reported."""
    found = READER.read(reported(("city_weather", arguments)), TOOLS)
    assert (found.calls, found.corrections) == ((GRAZ,), (Correction(kind="syntax", tool="city_weather"),))


@pytest.mark.parametrize("arguments", [None, "", " ", "{}", "null", [], "[]", '""'])
def test_no_arguments_are_none(arguments: Any) -> None:
    """However a server writes that there are none."""
    assert READER.read(reported(("city_weather", arguments)), TOOLS).calls == (ToolCall(name="city_weather"),)


def test_raw_newlines_and_odd_numbers_are_kept() -> None:
    """A line break within a text is one; no number that JSON lacks becomes a call's value."""
    (call,) = READER.read(reported(("city_weather", '{"city": "one\ntwo"}')), TOOLS).calls
    assert call.arguments == {"city": "one\ntwo"}
    (call,) = READER.read(reported(("city_weather", '{"city": NaN}')), TOOLS).calls
    assert json.dumps(call.arguments, allow_nan=False)


@pytest.mark.parametrize(
    "name",
    [
        *("functions.city_weather", "city_weather:0", "functions.city_weather:0", "city_weather\n", "CityWeather"),
        *("city_weather<|channel|>commentary", "city_weather</arg_value>"),
    ],
)
def test_a_name_with_marks_around_it_is_mended(name: str) -> None:
    """And reported; a wire name is the tool's own name and no mistake."""
    found = READER.read(reported((name, '{"city": "Graz"}')), TOOLS)
    assert (found.calls, found.corrections) == ((GRAZ,), (Correction(kind="name", tool="city_weather"),))
    found = READER.read(reported(("math_gcd", "{}")), TOOLS)
    assert (found.calls, found.corrections) == ((ToolCall(name="math.gcd"),), ())


def test_a_call_of_a_tool_that_is_not_offered_stays() -> None:
    """As the server gave it."""
    content = reported(("elsewhere", '{"a": 1}'))
    assert READER.read(content, TOOLS).calls is content.tool_calls


def test_calls_keep_their_order() -> None:
    """Broken ones between whole ones, and one that can't be read among them."""
    content = reported(*((name, arguments) for name in ("a", "b") for arguments in ('{"n": 1,}', "{}", "not so", '{"n": 2,}')))
    assert [(call.name, call.arguments) for call in READER.read(content, TOOLS).calls] == [
        (name, arguments) for name in ("a", "b") for arguments in ({"n": 1}, {}, {"n": 2})
    ]


def test_what_cannot_be_mended_is_unread() -> None:
    """By name of the chain's reader."""
    for call in (("city_weather", "city is Oslo"), ("", "{}"), (None, {"city": "Graz"}), ("city_weather", 5)):
        found = READER.read(reported(call), TOOLS)
        assert (found.calls, bool(found.unread)) == ((), True)
    parsed = read_calls(("all@2",), reported(("city_weather", "city is Oslo")), TOOLS)
    assert (parsed.status, parsed.unread) == ("unread", "native")


def test_a_call_that_the_token_limit_cut_is_none() -> None:
    """An argument may be missing; without the limit, the missing bracket is supplied."""
    cut = ("city_weather", '{"city": "Gra"')
    assert READER.read(reported(cut), TOOLS).supplied
    assert read_calls(("all@2",), reported(("city_weather", {"city": "Graz"}), cut, finish="length"), TOOLS).tool_calls == (GRAZ,)


def test_the_first_version_reads_as_before() -> None:
    """A broken call is unread under the chains that name it."""
    parsed = read_calls(("all@1",), reported(("city_weather", '{"city": "Graz",}')), TOOLS)
    assert (parsed.tool_calls, parsed.unread) == ((), "native")


@given(st.lists(st.tuples(st.text() | st.none(), st.text() | st.none() | st.integers()), max_size=4), st.text())
def test_nothing_is_raised(calls: list[tuple[Any, Any]], broken: str) -> None:
    """Whatever a server reports or a record holds."""
    content = reported(*calls)
    READER.read(content, TOOLS)
    READER.read(content.model_copy(update={"broken_tool_calls": (*content.broken_tool_calls, broken, "[]", "{}")}), TOOLS)
