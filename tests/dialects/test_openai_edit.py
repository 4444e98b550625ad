"""Calls are put into a reply, and everything else of it stays as it came."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from selfopt.dialects.openai_edit import (
    SaidPart,
    call_pieces,
    finished_by_calls,
    mended_calls,
    only_delta,
    read_whole,
    with_function,
    with_message,
    with_text,
)
from selfopt.records import ToolDefinition

TOOLS = (
    ToolDefinition(
        name="city_weather", description="d", parameters={"type": "object", "properties": {"city": {"type": "string"}}}
    ),
)
GOOD = {"id": "a", "type": "function", "function": {"name": "city_weather", "arguments": '{"city": "Graz"}'}}


def said(**fields: Any) -> SaidPart:
    """A message with these fields."""
    return msgspec.json.decode(json.dumps(fields), type=SaidPart)


def function(**changes: Any) -> dict[str, Any]:
    """The good call with another function."""
    return {**GOOD, "function": {**GOOD["function"], **changes}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": [GOOD]},
        {"tool_calls": [GOOD, {**GOOD, "id": "b"}]},
        {"tool_calls": [function(arguments="Graz please")]},
        {"tool_calls": [function(name="unknown")]},
        {"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "x", "input": "y"}}]},
        {"tool_calls": [5]},
        {"function_call": {"name": "city_weather", "arguments": "Graz please"}},
    ],
)
def test_what_is_sound_or_hopeless_stays(fields: dict[str, Any]) -> None:
    """Nothing is counted as mended."""
    assert mended_calls(said(**fields), TOOLS, "call_1", cut=False)[1] == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_calls": [function(arguments="{'city': 'Graz',}")]},
        {"tool_calls": [function(arguments={"city": "Graz"})]},
        {"tool_calls": [function(arguments=json.dumps('{"city": "Graz"}'))]},
        {"tool_calls": [function(name="functions.city_weather")]},
        {"tool_calls": [{"id": "a", "name": "city_weather", "parameters": {"city": "Graz"}}]},
        {"tool_calls": {"0": GOOD}},
        {"tool_calls": GOOD},
        {"function_call": GOOD["function"]},
    ],
)
def test_what_can_be_read_is_mended(fields: dict[str, Any]) -> None:
    """Into the form that clients expect; a call that has an id keeps it."""
    calls, mended = mended_calls(said(**fields), TOOLS, "call_1", cut=False)
    (call,) = json.loads(msgspec.json.encode(calls))
    assert (mended, call["type"], call["function"]["name"]) == (1, "function", "city_weather")
    assert json.loads(call["function"]["arguments"]) == {"city": "Graz"}
    assert call["id"] == ("a" if "tool_calls" in fields else "call_1_0")


def test_each_call_is_mended_by_itself() -> None:
    """One that can't be read keeps no other from it, and fields that nobody knows stay."""
    odd = {**function(arguments="{'city': 'Bern'}"), "x": 1}
    calls, mended = mended_calls(said(tool_calls=[GOOD, odd, function(arguments="?")]), TOOLS, "c", cut=False)
    first, second, third = json.loads(msgspec.json.encode(calls))
    assert (mended, first, third) == (1, GOOD, function(arguments="?"))
    assert (second["x"], json.loads(second["function"]["arguments"])) == (1, {"city": "Bern"})


def test_a_call_that_the_token_limit_cut_off_is_not_mended() -> None:
    """An argument may be missing."""
    cut = said(tool_calls=[function(arguments='{"city": "Graz"')])
    assert mended_calls(cut, TOOLS, "c", cut=True)[1] == 0
    assert mended_calls(cut, TOOLS, "c", cut=False)[1] == 1


def test_only_the_message_changes() -> None:
    """Numbers keep their form, and other choices everything."""
    body = b'{"id":"x","a":1.50,"choices":[{"index":0,"message":{"content":"t","y":1e2},"logprobs":{"z":1.0}},{"message":{"content":"u"}}]}'
    changed = with_message(body, 0, {"content": None, "tool_calls": [1]})
    assert changed == (
        b'{"id":"x","a":1.50,"choices":[{"index":0,"message":{"content":null,"y":1e2,"tool_calls":[1]},"logprobs":{"z":1.0},'
        b'"finish_reason":"tool_calls"},{"message":{"content":"u"}}]}'
    )


def test_events_change_in_one_place() -> None:
    """Texts, ends, and pieces of calls; token counts belong to one event alone."""
    event = b'{"id":"x","choices":[{"index":2,"delta":{"content":"abc"},"finish_reason":null}],"usage":null}'
    assert with_text(event, 0, "a") == event.replace(b"abc", b"a")
    assert with_text(event, 0, "") is None
    assert with_text(event.replace(b'"usage":null', b'"usage":{"n":1.0}'), 0, "") == event.replace(b"abc", b"").replace(
        b'"usage":null', b'"usage":{"n":1.0}'
    )
    assert finished_by_calls(event, 0) == event.replace(b'reason":null', b'reason":"tool_calls"')
    assert only_delta(event, 2, {"a": 1}) == b'{"id":"x","choices":[{"index":2,"delta":{"a":1},"finish_reason":null}]}'
    call = b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"xy"}}]}}]}'
    assert with_function(call, 0, 0, {"arguments": "x"}) == call.replace(b"xy", b"x")


@pytest.mark.parametrize("calls", [[{"function": {}}], [{"index": "0"}], 5, {"0": {}}, [5]])
def test_odd_pieces_are_none(calls: Any) -> None:
    """They pass as they came."""
    assert call_pieces(said(tool_calls=calls)) == []


@pytest.mark.parametrize("empty", ["null", "[]", "[ ]", "{}", '""'])
def test_a_message_without_calls_reports_none(empty: str) -> None:
    """However a server writes nothing."""
    reply = read_whole(b'{"choices":[{"message":{"content":"a","tool_calls":%s}}]}' % empty.encode())
    message = reply.choices[0].message
    assert message is not None
    assert not message.reports_calls
    assert message.text == "a"
