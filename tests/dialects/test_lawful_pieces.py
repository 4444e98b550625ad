"""Calls in a stream get the form that clients expect. `tests/gateway/test_wild_passing.py` has the property."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.dialects.lawful_choice import MAX_CHARS
from selfopt.dialects.lawful_pieces import LawfulPieces
from selfopt.dialects.openai_edit import MAX_CHOICES
from selfopt.records import ToolDefinition

TOOLS = (ToolDefinition(name="city_weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}}),)


def event(said: dict[str, Any] | None, finish: str | None = None, holder: str = "delta", **more: Any) -> bytes:
    """The JSON of an event."""
    return json.dumps({"id": "x", "choices": [{"index": 0, holder: said, "finish_reason": finish, **more}]}).encode()


def formed(*events: bytes) -> list[dict[str, Any]]:
    """The choices of the events that a client gets."""
    forms = LawfulPieces(TOOLS, "call_1")
    out = [body for one in events for body in forms.take(one)] + forms.end()
    return [choice for body in out for choice in json.loads(body)["choices"]]


def calls_in(choices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pieces of calls."""
    return [call for choice in choices for call in choice["delta"].get("tool_calls") or ()]


def test_a_call_has_its_index_id_and_name_once() -> None:
    """Whatever each piece says again."""
    pieces = [{"id": "a", "function": {"name": "city_weather", "arguments": part}} for part in ('{"city"', ': "Graz"}')]
    other = {"id": "b", "function": {"name": "city_weather", "arguments": "{}"}, "x": 1}
    assert calls_in(formed(*(event({"tool_calls": [one]}) for one in (*pieces, other)))) == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "city_weather", "arguments": '{"city"'}},
        {"index": 0, "function": {"arguments": ': "Graz"}'}},
        {"index": 1, "id": "b", "type": "function", "x": 1, "function": {"name": "city_weather", "arguments": "{}"}},
    ]


def test_arguments_as_an_object_become_text_once_they_are_whole() -> None:
    """And the call has an id, though the server gave none."""
    first = event({"tool_calls": [{"function": {"name": "city_weather", "arguments": {"city": "Graz"}}}]})
    forms = LawfulPieces(TOOLS, "call_1")
    assert calls_in([json.loads(body)["choices"][0] for body in forms.take(first)]) == []
    (last,) = forms.take(event({}, "stop"))
    choice = json.loads(last)["choices"][0]
    (call,) = calls_in([choice])
    assert (call["index"], call["id"], call["function"]["arguments"]) == (0, "call_1_0", '{"city": "Graz"}')
    assert choice["finish_reason"] == "tool_calls"


def test_a_message_at_the_end_says_only_what_did_not_come() -> None:
    """Text, and calls that came in no delta."""
    call = {"id": "a", "type": "function", "function": {"name": "city_weather", "arguments": "{}"}}
    came = [event({"content": "So. "}), event({}, "tool_calls", message={"content": "So. Yes.", "tool_calls": [call]})]
    choices = formed(*came)
    assert [choice["delta"].get("content") for choice in choices] == ["So. ", "Yes."]
    assert calls_in(choices) == [{"index": 0, **call}]
    again = [event({"content": "So. "}), event({}, "stop", message={"content": "So. "})]
    assert formed(*again) == [choice for one in again for choice in json.loads(one)["choices"]]


@pytest.mark.parametrize("finish", ["length", "stop"])
def test_the_older_field_becomes_a_call_if_it_can_be_read(finish: str) -> None:
    """Else it goes on in its own place."""
    pieces = [{"name": "city_weather", "arguments": ""}, {"arguments": "{'city': "}, {"arguments": "'Graz'"}]
    choices = formed(*(event({"function_call": one}) for one in pieces), event({}, finish))
    if finish == "stop":
        (call,) = calls_in(choices)
        assert json.loads(call["function"]["arguments"]) == {"city": "Graz"}
    else:  # an argument may be missing
        assert choices[-1]["delta"] == {"function_call": {"name": "city_weather", "arguments": "{'city': 'Graz'"}}
    assert all("function_call" not in choice["delta"] for choice in choices[:-1])


def test_the_older_field_of_a_message_that_ends_a_reply_stays_if_it_cannot_be_read() -> None:
    """As in a whole answer."""
    call = {"name": "city_weather", "arguments": "Graz please"}
    choices = formed(event({"content": "So.", "function_call": call}, "function_call", holder="message"))
    assert [choice["delta"] for choice in choices] == [{"content": "So.", "function_call": call}, {}]


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "text": "a", "finish_reason": None},
        {"index": 0, "content_filter_results": {}},
        {"delta": {"tool_calls": "x"}},
    ],
)
def test_what_is_not_understood_stays(choice: dict[str, Any]) -> None:
    """Byte for byte."""
    body = json.dumps({"choices": [choice]}).encode()
    assert LawfulPieces(TOOLS, "c").take(body) == [body]


def test_what_is_kept_is_bounded() -> None:
    """Choices, characters, and messages that say everything again. What is beyond passes as it came."""
    forms = LawfulPieces(TOOLS, "c")
    odd = [json.dumps({"choices": [{"index": at, "message": {"content": "a"}}]}).encode() for at in range(MAX_CHOICES + 1)]
    assert [forms.take(body) == [body] for body in odd] == [False] * MAX_CHOICES + [True]
    forms = LawfulPieces(TOOLS, "c")
    long, short = (event({"content": text}, holder="message") for text in ("x" * MAX_CHARS, "y"))
    assert (forms.take(long) == [long], forms.take(short) == [short]) == (False, True)
    forms = LawfulPieces(TOOLS, "c")
    both = [event({"content": "a"}, message={"content": "a" * at + "b"}) for at in range(200)]
    assert [forms.take(body) == [body] for body in both][-1]
