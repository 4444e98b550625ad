"""What models write is read: formats of every family, words that only look like calls, values as they came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.variants.gbnf import Grammar

from . import doors
from .doors import tool
from .kit import cases

TOOLS = (
    tool("city_weather", {"city": {"type": "string"}}, ["city"]),
    tool("set_timer", {"minutes": {"type": "number"}, "label": {"type": "string"}}, ["minutes"]),
    tool("write_note", {"text": {"type": "string"}}, ["text"]),
    tool("list_alarms", {}),
    tool("mail", {"from": {"type": "string"}, "class": {"type": "string"}}),
    tool("plan_trip", {"stops": {"type": "array", "items": {"type": "string"}}}),
)
XML = "<tool_call>\n<function=f>\n<parameter=v>\n{raw}\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize("case", cases("formats", "formats.json"))
def test_a_call_in_any_familys_format_is_read(case: dict[str, Any]) -> None:
    """The thread that each input is from stands beside it; of "any" nothing is asked but that reading it raises nothing."""
    found = doors.read(case["text"], TOOLS)
    if case["calls"] != "any":
        assert [[call.name, dict(call.arguments)] for call in found.tool_calls] == case["calls"]


@pytest.mark.parametrize("case", cases("rehearsed", "rehearsed.json"))
def test_what_is_rehearsed_or_quoted_is_no_call(case: dict[str, Any]) -> None:
    """Calls within thinking in all its marks, examples, definitions and echoes; `calls`: how many there really are."""
    assert len(doors.read(case["text"], (TOOLS[0], TOOLS[2])).tool_calls) == case["calls"]


@pytest.mark.parametrize("case", cases("values_read", "values_read.json"))
def test_reading_changes_no_value(case: dict[str, Any]) -> None:
    """A string stays the string that was written wherever the schema allows a string."""
    (call,) = doors.read(XML.format(raw=case["raw"]), (tool("f", {"v": case["schema"]}, ["v"], **case["more"]),)).tool_calls
    assert_is(call.arguments.get("v"), case["value"])


@pytest.mark.parametrize("case", cases("values_fitted", "values_fitted.json"))
def test_fitting_follows_the_schema_and_empties_nothing(case: dict[str, Any]) -> None:
    """What cannot be fitted stays as it came."""
    offered = tool("f", {"v": case["schema"]}, ["v"], **case["more"])
    assert_is(doors.fit({"v": case["raw"]}, "please v 5 true five", offered)["v"], case["value"])


def assert_is(now: Any, wanted: Any) -> None:
    """Equal and of one type; where several answers are right, one of them."""
    right = wanted[1:] if isinstance(wanted, list) and wanted[:1] == ["any of"] else [wanted]
    assert any(now == one and isinstance(now, str) == isinstance(one, str) for one in right), (now, right)


@pytest.mark.parametrize("case", cases("grammar", "grammar.json"))
def test_the_grammar_makes_no_right_value_impossible(case: dict[str, Any]) -> None:
    """What the schema allows can be written, and what it forbids cannot."""
    grammar = Grammar(doors.grammar_of_arguments(tool("op", {"v": case["schema"]}, ["v"])))
    assert grammar.accepts(json.dumps({"v": case["value"]}, ensure_ascii=False)) == case["accepted"]
