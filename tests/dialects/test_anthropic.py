"""Bodies and replies of Anthropic's Messages API, shaped as its documentation shows them."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.dialects.anthropic import Anthropic
from selfopt.records import Constraint, Message, Sampling, ToolCall
from tests.endpoints.kit import WEATHER, ask, config_for

ANTHROPIC = Anthropic(config_for("anthropic"))

REPLY: dict[str, Any] = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [
        {"type": "thinking", "thinking": "Two cities.", "signature": "abc"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "I will look."},
        {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"city": "Kyiv"}},
        {"type": "tool_use", "id": "toolu_02", "name": "get_weather", "input": {"city": "Quito"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 20, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 50, "output_tokens": 70},
}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one content block."""
    middle = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *middle,
        {"type": "content_block_stop", "index": index},
    ]


EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {**REPLY, "content": [], "stop_reason": None, "usage": {"input_tokens": 20, "output_tokens": 1}},
    },
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": ""},
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "signature_delta", "signature": "s"},
    ),
    *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "I will "}, {"type": "text_delta", "text": "look."}),
    *block(
        2,
        {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {}},
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"city": "Ky'},
        {"type": "input_json_delta", "partial_json": 'iv"}'},
    ),
    *block(3, {"type": "tool_use", "id": "toolu_02", "name": "now", "input": {}}),
    {"type": "something_new", "index": 9},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 89}},
    {"type": "message_stop"},
]


def test_a_documented_reply_is_read() -> None:
    """Blocks of each type; input tokens with those of the cache."""
    parts = ANTHROPIC.decode_reply(REPLY)
    content = parts.content()
    assert (content.text, content.thinking, content.finish_reason) == ("I will look.", "Two cities.", "tool_calls")
    assert [(c.id, c.arguments["city"]) for c in content.tool_calls] == [("toolu_01", "Kyiv"), ("toolu_02", "Quito")]
    assert (parts.usage.input_tokens, parts.usage.output_tokens, parts.usage.cached_tokens) == (100, 70, 50)


def test_documented_events_are_put_together() -> None:
    """Unknown events are passed over; a call without arguments has none."""
    whole = ANTHROPIC.decoder()
    added = [whole.add(event) for event in EVENTS]
    assert ("".join(a[0] for a in added), "".join(a[1] for a in added)) == ("I will look.", "Hm.")
    assert whole.finished
    parts = whole.done()
    assert parts.tool_calls == [
        ToolCall(name="get_weather", arguments={"city": "Kyiv"}, id="toolu_01"),
        ToolCall(name="now", id="toolu_02"),
    ]
    assert (parts.usage.input_tokens, parts.usage.output_tokens, parts.content().finish_reason) == (20, 89, "tool_calls")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        (None, "unknown"),
        ("new", "unknown"),
    ],
)
def test_stop_reasons_have_their_meaning(reason: str | None, finish: str) -> None:
    """And new ones are unknown."""
    reply = {**REPLY, "content": [{"type": "text", "text": "x"}], "stop_reason": reason}
    assert ANTHROPIC.decode_reply(reply).content().finish_reason == finish


def test_a_conversation_becomes_alternating_blocks() -> None:
    """System apart, results as the user's, neighbours of one role merged, nothing empty."""
    messages = (
        Message(role="system", content="A"),
        Message(role="user", content="one"),
        Message(role="assistant", tool_calls=(ToolCall(name="a"), ToolCall(name="b"))),
        Message(role="tool", name="b", content="of b"),
        Message(role="tool", name="a", content="of a"),
        Message(role="user", content="two"),
        Message(role="system", content="B"),
        Message(role="assistant", content=""),
    )
    body = ANTHROPIC.write_request(ask("x", messages=messages), streamed=False)
    assert body["system"] == "A\n\nB"
    assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
    calls, results = body["messages"][1]["content"], body["messages"][2]["content"]
    assert [r.get("tool_use_id") for r in results] == [calls[1]["id"], calls[0]["id"], None]
    assert results[2] == {"type": "text", "text": "two"}


def test_a_request_has_what_was_chosen() -> None:
    """Tools, choice, schema, limit and temperature."""
    request = ask(
        "x",
        model="claude-haiku-4-5",
        tools=(WEATHER,),
        tool_choice="required",
        sampling=Sampling(max_tokens=50, temperature=1.7, top_p=0.5),
        constraint=Constraint(kind="json_schema", json_schema={"type": "object"}),
    )
    body = ANTHROPIC.write_request(request, streamed=True)
    assert body["tools"][0]["input_schema"] == WEATHER.parameters
    assert (body["tool_choice"], body["max_tokens"], body["temperature"], body["top_p"]) == ({"type": "any"}, 50, 1.0, 0.5)
    assert body["output_config"]["format"]["schema"] == {"type": "object"}
    assert body["stream"] is True


@pytest.mark.parametrize(
    ("model", "thinking", "temperature"),
    [
        ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-haiku-4-5-20251001", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-3-5-sonnet-20241022", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-sonnet-4-20250514", {"type": "enabled", "budget_tokens": 1024}, True),
        ("claude-opus-4-8", {"type": "adaptive"}, False),
        ("claude-sonnet-5", {"type": "adaptive"}, False),
        ("anything", {"type": "enabled", "budget_tokens": 1024}, True),
    ],
)
def test_thinking_and_sampling_follow_what_the_model_takes(model: str, thinking: dict[str, Any], temperature: bool) -> None:
    """A budget of at least 1024 added to the limit, or adaptive; no temperature and no required call beside thinking."""
    with_it = ANTHROPIC.write_request(
        ask("x", model=model, tools=(WEATHER,), tool_choice="required", sampling=Sampling(max_tokens=10, thinking_tokens=5)),
        streamed=False,
    )
    assert (with_it["thinking"], with_it["max_tokens"], with_it["tool_choice"]) == (thinking, 1034, {"type": "auto"})
    assert "temperature" not in with_it
    without = ANTHROPIC.write_request(ask("x", model=model), streamed=False)
    assert ("temperature" in without) is temperature
    assert without.get("thinking") == ({"type": "disabled"} if model == "claude-sonnet-5" else None)


@pytest.mark.parametrize(
    ("model", "thinking", "max_tokens", "choice"),
    [
        ("claude-opus-4-8", None, 10, "any"),
        ("claude-opus-5", {"type": "disabled"}, 10, "any"),
        ("claude-sonnet-5", {"type": "disabled"}, 10, "any"),
        ("claude-haiku-5-5", {"type": "disabled"}, 10, "auto"),
        ("claude-sonnet-5-5", {"type": "between_tools"}, 10, "auto"),
        ("claude-opus-5-5", None, 10 + 8192, "auto"),
        ("claude-fable-5", None, 10 + 8192, "auto"),
    ],
)
def test_a_model_that_thinks_by_default_is_told_not_to_or_given_room(
    model: str, thinking: dict[str, str] | None, max_tokens: int, choice: str
) -> None:
    """Thinking counts toward the limit: an answer of ten tokens must not be cut by it. Where nothing switches it off, room is
    added and no call can be required."""
    asked = ask("x", model=model, tools=(WEATHER,), tool_choice="required", sampling=Sampling(max_tokens=10))
    body = ANTHROPIC.write_request(asked, streamed=False)
    assert (body.get("thinking"), body["max_tokens"], body["tool_choice"]) == (thinking, max_tokens, {"type": choice})
    assert "temperature" not in body


def test_the_url_is_anthropics_own_unless_given() -> None:
    """With or without /v1."""
    assert Anthropic(config_for("anthropic")).url == "https://api.anthropic.com/v1/messages"
    assert Anthropic(config_for("anthropic", "http://h:1/v1")).url == "http://h:1/v1/messages"
