"""Which calls of a conversation have a result, and whether it tells of a failure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.answered import answered_calls, tells_of_failure
from selfopt.records import Message, ToolCall

ASKED = Message(role="user", content="Is parcel 88213 here?")


def called(*calls: ToolCall) -> Message:
    """What the model called."""
    return Message(role="assistant", tool_calls=calls)


def result(content: str, of: str | None = None, name: str | None = None) -> Message:
    """What a tool returned."""
    return Message(role="tool", content=content, tool_call_id=of, name=name)


def test_a_result_belongs_to_the_call_with_its_id() -> None:
    """Whatever the order, and if another turn uses the same ids."""
    one, two = ToolCall(name="f", id="1"), ToolCall(name="f", arguments={"a": 2}, id="2")
    again = ToolCall(name="g", id="1")
    talk = [ASKED, called(one, two), result("second", "2"), result("first", "1"), ASKED, called(again), result("third", "1")]
    found = [(done.call, done.result, done.last_turn) for done in answered_calls(talk)]
    assert found == [(two, "second", False), (one, "first", False), (again, "third", True)]


def test_without_ids_a_result_belongs_to_the_first_open_call_of_its_name() -> None:
    """Or to the first open one if it has no name. A call without a result is none of them."""
    f, g, h = ToolCall(name="f"), ToolCall(name="g"), ToolCall(name="h")
    talk = [ASKED, called(f, g, h), result("of g", name="g"), result("of f")]
    assert [(done.call.name, done.result) for done in answered_calls(talk)] == [("g", "of g"), ("f", "of f")]
    assert answered_calls([ASKED, called(f)]) == []
    assert answered_calls([result("of nothing", "9")]) == []


@pytest.mark.parametrize(
    "content",
    [
        '{"error": "device_unreachable", "detail": "Nothing was delivered.", "retry": true}',
        '{"ok": false}',
        '{"status": "pending", "reason": "room 231 is being cleaned"}',
        '{"status": 503}',
        '{"isError": true, "content": []}',
        '{"status": "In Progress"}',
        "Error: the bulb is broken",
        "Traceback (most recent call last):",
        "The request timed out.",
        '["error"]',
    ],
)
def test_failures_and_unfinished_work_are_told_apart(content: str) -> None:
    assert tells_of_failure(content)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "12 degrees, light rain",
        '{"error": null, "temperature": 12}',
        '{"errors": []}',
        '{"ok": true}',
        '{"status": "delivered"}',
        '{"status": 200}',
        '{"title": "Failed states", "note": "the error of the century"}',
        '[{"sku": "RIVT-210", "left": 19}]',
    ],
)
def test_what_came_whole_is_no_failure(content: str) -> None:
    assert not tells_of_failure(content)


@settings(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_result_is_judged_without_an_error(value: Any) -> None:
    """Also one that is cut off."""
    text = json.dumps(value)
    assert tells_of_failure(text) in (True, False)
    assert tells_of_failure(text[: len(text) // 2]) in (True, False)
    assert not tells_of_failure("[" * 100_000)
