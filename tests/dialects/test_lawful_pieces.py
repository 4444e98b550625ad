"""Calls in a stream get the form that clients expect. `tests/gateway/test_wild_passing.py` has the property."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.dialects.lawful_choice import MAX_CHARS
from selfopt.dialects.lawful_pieces import LawfulPieces
from selfopt.dialects.openai_edit import MAX_CHOICES, SaidPart
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


@pytest.mark.parametrize("arguments", ['{"city": "Graz"}', {"city": "Graz"}])
@pytest.mark.parametrize("apart", [False, True])
def test_what_stands_beside_a_call_stays(arguments: Any, apart: bool) -> None:
    """Such as the signature of a thought, which Gemini's servers want to see again."""
    call, beside = {"function": {"name": "city_weather", "arguments": arguments}}, {"extra_content": {"signature": "s"}}
    pieces: list[dict[str, Any]] = [call, {**beside, "function": {}}] if apart else [{**call, **beside}]
    got = calls_in(formed(*(event({"tool_calls": [piece]}) for piece in pieces), event({}, "tool_calls")))
    assert [piece["extra_content"] for piece in got if "extra_content" in piece] == [{"signature": "s"}]
    assert json.loads("".join(piece["function"]["arguments"] for piece in got)) == {"city": "Graz"}


@pytest.mark.parametrize("finish", ["tool_calls", None])
def test_what_stands_beside_a_call_of_a_message_stays(finish: str | None) -> None:
    """A server may send the whole answer in place of a stream."""
    calls = [{"id": at, "function": {"name": "city_weather", "arguments": "{}"}, "extra": at} for at in ("a", "b")]
    got = calls_in(formed(event({"content": None, "tool_calls": calls}, finish, holder="message")))
    assert [(piece["index"], piece["id"], piece["extra"]) for piece in got] == [(0, "a", "a"), (1, "b", "b")]


@pytest.mark.parametrize("finish", ["tool_calls", None])
@pytest.mark.parametrize(
    "calls",
    [
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "z", "input": "abc"}}]},
        {"tool_calls": {"custom": {"name": "z", "input": "abc"}, "function": 5}},
        {"function_call": {"name": 5, "arguments": "x"}},
    ],
)
def test_calls_of_a_message_that_are_not_understood_stay(calls: dict[str, Any], finish: str | None) -> None:
    """Such as those of custom tools. In a list each has its index. Where they came in a delta, they are told once."""
    (delta, *_) = (choice["delta"] for choice in formed(event({"content": "a", **calls}, finish, holder="message")))
    told = {"tool_calls": [{"index": 0, **calls["tool_calls"][0]}]} if isinstance(calls.get("tool_calls"), list) else calls
    assert delta == {"content": "a", **told}
    again = formed(event(told), event({"content": "a", **calls}, finish, holder="message"))
    assert [key for choice in again for key in choice["delta"] if key in told] == [*told]


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


@pytest.mark.parametrize("older", [False, True])
def test_a_call_that_waits_goes_out_before_the_end_whatever_comes_after_it(older: bool) -> None:
    """Also once so much has come that the form of the choice is not looked at any more."""
    forms = LawfulPieces(TOOLS, "c")
    call: dict[str, Any] = {"name": "city_weather", "arguments": '{"city":"Graz"}' if older else {"city": "Graz"}}
    forms.take(event({"function_call": call} if older else {"tool_calls": [{"index": 0, "id": "a", "function": call}]}))
    forms.said(0, "x" * MAX_CHARS, "", SaidPart())
    end = event({}, "tool_calls")
    assert forms.knows(0)
    *before, last = forms.take(end)
    told = [one for body in before for choice in json.loads(body)["choices"] for one in choice["delta"]["tool_calls"]]
    assert [json.loads(one["function"]["arguments"]) for one in told] == [{"city": "Graz"}]
    assert json.loads(last)["choices"][0]["finish_reason"] == "tool_calls"
    assert forms.end() == []
