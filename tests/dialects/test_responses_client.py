"""Requests of OpenAI's Responses API become chats, and nothing of them is lost in silence."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selfopt.dialects.chat_body import BodyLimits, at_once
from selfopt.dialects.chat_body import reading_body as reading_chat
from selfopt.dialects.clients import NoWordsError, RawCall
from selfopt.dialects.refusal import Refusal, bad_request
from selfopt.dialects.responses_body import ResponsesBody
from selfopt.dialects.responses_client import NAME, RESPONSES_CLIENT
from selfopt.dialects.responses_fields import FIELDS, SAME
from selfopt.records import FinishReason, ReplyContent, ToolCall, Usage
from tests.examples import some_of

CHATS = "openai_chat"
LIMITS = BodyLimits()
HI = [{"role": "user", "content": "hi"}]
SCALARS = st.none() | st.booleans() | st.integers(-5, 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=8)
NAMES = st.sampled_from(
    [
        *sorted(FIELDS),
        "type",
        "role",
        "content",
        "name",
        "arguments",
        "output",
        "call_id",
        "text",
        "image_url",
        "function",
        "mode",
    ]
)
WORDS = st.sampled_from(
    [
        "message",
        "function_call",
        "function_call_output",
        "reasoning",
        "item_reference",
        "input_text",
        "output_text",
        "input_image",
        "refusal",
        "user",
        "assistant",
        "system",
        "developer",
        "function",
        "allowed_tools",
        "json_schema",
        "text",
        "auto",
        "required",
        "none",
        "web_search",
    ]
)
ANYTHING = st.recursive(
    SCALARS | WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=20
)
BODIES = st.fixed_dictionaries({"model": st.just("m")}, optional=dict.fromkeys(sorted(FIELDS - {"model"}), ANYTHING))


def read(**fields: Any) -> ResponsesBody:
    """The body of a client that says this."""
    body = at_once(RESPONSES_CLIENT.reading_body(json.dumps({"model": "m", "input": "hi", **fields}).encode(), LIMITS))
    assert isinstance(body, ResponsesBody)
    return body


def chat_of(**fields: Any) -> dict[str, Any]:
    """The chat that stands for it."""
    body = read(**fields)
    assert body.odd is None, str(body.odd)
    return {key: json.loads(bytes(raw)) for key, raw in body.fields.items()}


def messages_of(*items: Any) -> Any:
    """The messages that stand for these items."""
    return chat_of(input=list(items))["messages"]


def refused(**fields: Any) -> str:
    """The field that is named in the refusal."""
    with pytest.raises(NoWordsError) as odd:
        at_once(RESPONSES_CLIENT.reading_request(read(**fields), CHATS))
    return odd.value.param


@settings(deadline=None, max_examples=some_of(300))
@given(BODIES)
@example({"model": "m", "input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": 5}]})
@example({"model": "m", "input": [{"role": "assistant", "content": []}], "tools": [{"function": None}]})
@example({"model": "m", "input": "x", "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function"}]}})
def test_any_json_is_read_or_refused_in_words(fields: dict[str, Any]) -> None:
    """Nothing else is raised, and what was read once is a chat that a client could have sent."""
    try:
        body = at_once(RESPONSES_CLIENT.reading_body(json.dumps(fields).encode(), LIMITS))
    except Refusal:
        return
    try:
        asked = at_once(RESPONSES_CLIENT.reading_request(body, CHATS))
    except (NoWordsError, Refusal):
        return
    assert asked.request.messages
    chat = at_once(reading_chat(msgspec.json.encode(body.fields), LIMITS))
    assert (chat.model, chat.stream, chat.n_tools) == (body.model, body.stream, body.n_tools)


@given(st.binary(max_size=80))
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Bytes of any sort."""
    with pytest.raises(Refusal):
        at_once(RESPONSES_CLIENT.reading_body(data, LIMITS))


def test_a_text_and_instructions_are_two_messages() -> None:
    """In this order."""
    assert chat_of(input="hi", instructions="Be brief.")["messages"] == [{"role": "system", "content": "Be brief."}, *HI]
    assert chat_of(input=HI)["messages"] == chat_of(input="hi", instructions=None)["messages"] == HI


def test_what_the_model_said_in_one_turn_is_one_message() -> None:
    """Its thinking, its text and its calls; results follow. What comes after them is the next turn."""
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{n}",
            "call_id": f"c{n}",
            "name": "f",
            "arguments": '{"a": 1}',
            "status": "completed",
        }
        for n in (1, 2)
    ]
    results = [{"type": "function_call_output", "call_id": f"c{n}", "output": f"r{n}"} for n in (1, 2)]
    said = {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "phase": None,
        "content": [{"type": "output_text", "text": "ok", "annotations": [], "logprobs": []}],
    }
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    sealed = {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "xyz"}
    written = [{"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}} for n in (1, 2)]
    told = [{"role": "tool", "tool_call_id": f"c{n}", "content": f"r{n}"} for n in (1, 2)]
    detail = {"type": "reasoning.encrypted", "format": "openai-responses-v1", "data": "xyz"}
    first = {"role": "assistant", "reasoning_content": "hm", "content": "ok", "tool_calls": written}
    second = {"role": "assistant", "reasoning_content": "s", "reasoning_details": [detail], "content": "ok"}
    assert messages_of(*HI, thought, said, *calls, *results, sealed, said) == [*HI, first, *told, second]
    # Text behind the calls still belongs to them: results have to follow at once.
    assert messages_of(*HI, thought, *calls, said, *results) == [*HI, first, *told]
    assert messages_of(*HI, said, said)[1:] == [{"role": "assistant", "content": "ok"}] * 2


def test_parts_keep_their_order_and_pictures() -> None:
    """A picture is a URL, or data."""
    parts = [
        {"type": "input_text", "text": "what is"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        {"type": "input_text", "text": "this?"},
    ]
    (message,) = messages_of({"role": "user", "content": parts})
    assert message["content"] == [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "text", "text": "this?"},
    ]
    body = read(input=[{"role": "user", "content": parts}])
    (asked,) = at_once(RESPONSES_CLIENT.reading_request(body, CHATS)).request.messages
    assert (asked.content, asked.pictures) == ("what is\nthis?", ("data:image/png;base64,AA==",))


def test_options_have_their_places_in_a_chat() -> None:
    """Renamed or unwrapped; a field that both APIs have is the same."""
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    same = dict.fromkeys(SAME - {"model", "stream"}, "x")
    chat = chat_of(
        max_output_tokens=7,
        text={"format": schema, "verbosity": "low"},
        reasoning={"effort": "high", "summary": "auto"},
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}],
        tool_choice={"type": "function", "name": "f"},
        metadata={"a": "b"},
        store=False,
        include=["reasoning.encrypted_content"],
        truncation="disabled",
        background=False,
        top_logprobs=0,
        seed=3,
        conversation=None,
        **same,
    )
    function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert chat == {
        "model": "m",
        "messages": HI,
        "max_tokens": 7,
        "response_format": {"type": "json_schema", "json_schema": {key: schema[key] for key in ("name", "schema", "strict")}},
        "verbosity": "low",
        "reasoning_effort": "high",
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "seed": 3,
        **same,
    }
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}
    asked = at_once(
        RESPONSES_CLIENT.reading_request(read(tools=[{"type": "function", "name": n} for n in "fg"], tool_choice=allowed), CHATS)
    )
    assert ([tool.name for tool in asked.request.tools], asked.request.tool_choice) == (["f"], "required")
    assert asked.beyond is None
    told = chat_of(include=["message.output_text.logprobs"], top_logprobs=2)
    assert (told["logprobs"], told["top_logprobs"]) == (True, 2)
    assert chat_of(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [*HI, {"type": "web_search_call", "id": "ws_1"}]}, "input[1].type"),
        ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": "x", "mood": "glad"}]}, "input[0].mood"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "high"}]}]},
            "input[0].content[0].detail",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": ""}] * 4097}]}, "input[0].content"),
        ({"input": [{"type": "reasoning", "summary": [{"text": ""}] * 4097}]}, "input[0].summary"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments"),
        ({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "custom", "name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp"}]}}, "tool_choice.tools[0].type"),
        ({"text": {"format": {"type": "xml"}}}, "text"),
        ({"text": {"font": "serif"}}, "text"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
        ({"include": ["reasoning.encrypted_content", "message.input_image.image_url"]}, "include[1]"),
        ({"truncation": "auto"}, "truncation"),
        ({"max_tool_calls": 2}, "max_tool_calls"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice"),
    ],
)
def test_what_no_chat_can_say_is_refused_by_its_own_name(fields: dict[str, Any], param: str) -> None:
    """The client reads the field that it sent."""
    assert refused(**fields) == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": [5]}, "input"),
        ({"background": True}, "background"),
        ({"tools": [1]}, "tools"),
        ({"stream": "yes"}, "stream"),
        ({"model": ""}, "model"),
    ],
)
def test_what_no_server_takes_is_refused_at_once(fields: dict[str, Any], param: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(Refusal) as refusal:
        read(**fields)
    assert refusal.value.param == param


def test_the_phase_is_that_of_the_same_chat() -> None:
    """One turn of the user without results is atomic; what names an earlier response is not."""
    results = [{"type": "function_call_output", "call_id": "c", "output": "r"}]
    assert (read().phase, read(input=HI).phase) == ("atomic", "atomic")
    assert (read(input=HI * 2).phase, read(input=results).phase) == ("extended", "extended")
    assert read(previous_response_id="resp_1").phase == "extended"
    assert (read().calls_tools, read(input=results).calls_tools) == (False, True)


def events_in(data: bytes) -> list[dict[str, Any]]:
    """The events of a stream, in order."""
    events: list[dict[str, Any]] = []
    for block in data.decode().strip().split("\n\n"):
        kind, _, body = block.partition("\n")
        event = json.loads(body.removeprefix("data: "))
        assert kind == f"event: {event['type']}"
        assert event["sequence_number"] == len(events)
        events.append(event)
    return events


CALLS = st.lists(st.builds(lambda a: ToolCall(name="f", arguments={"a": a}), st.text(max_size=5)), max_size=3)


@given(
    text=st.text(max_size=20),
    thinking=st.text(max_size=9),
    calls=CALLS,
    finish=st.sampled_from(["stop", "length", "content_filter"]),
    refuses=st.booleans(),
)
def test_a_stream_says_what_the_whole_answer_says(
    text: str, thinking: str, calls: list[ToolCall], finish: FinishReason, refuses: bool
) -> None:
    """Items, their order, status and usage; every event stands where a reader of such streams expects it."""
    said = ReplyContent(text=text, tool_calls=tuple(calls), finish_reason=finish, refused=refuses and bool(text))
    usage = Usage(input_tokens=3, output_tokens=4, thinking_tokens=1)
    writers = [RESPONSES_CLIENT.reply("req-1", "m", read(temperature=0.5, text={"verbosity": "low"})) for _ in range(2)]
    for writer in writers:
        writer.thinking = thinking
        writer.settle(said, usage)
    whole = json.loads(writers[0].whole())
    stream = writers[1]
    pieces = [stream.piece(), stream.piece(thinking=thinking) if thinking else b"", *(stream.piece(one) for one in text)]
    pieces += [stream.piece(call=pair) for pair in enumerate(calls)]
    events = events_in(b"".join([*pieces, stream.ending(with_usage=False)]))
    last = events[-1]["response"]
    assert last["output"] == whole["output"]
    assert (last["status"], last["incomplete_details"]) == (whole["status"], whole["incomplete_details"])
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == last["output"]
    assert last["usage"] == whole["usage"]
    assert (whole["temperature"], whole["text"]) == (0.5, {"format": {"type": "text"}, "verbosity": "low"})
    assert whole["usage"]["output_tokens_details"] == {"reasoning_tokens": 1}
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    deltas = "".join(event["delta"] for event in events if event["type"].endswith(("output_text.delta", "refusal.delta")))
    assert deltas == text


def test_a_call_that_nothing_could_read_goes_out_as_it_came() -> None:
    """Its arguments are text anyway."""
    writer = RESPONSES_CLIENT.reply("req-1", "m", read())
    writer.settle(ReplyContent().model_copy(update={"tool_calls": (RawCall(name="f", raw='{"a":', id="c"),)}), Usage())
    (item,) = json.loads(writer.whole())["output"]
    assert (item["type"], item["name"], item["arguments"], item["call_id"]) == ("function_call", "f", '{"a":', "c")


def test_a_stream_that_breaks_off_ends_with_the_error_and_the_failed_response() -> None:
    """With the response's own id, and after the events that came."""
    writer = RESPONSES_CLIENT.reply("req-1", "m", read())
    data = writer.piece() + writer.piece("half") + writer.broken_off(bad_request("it broke"))
    error, failed = events_in(data)[-2:]
    assert (error["type"], error["message"], error["error"]["message"]) == ("error", "it broke", "it broke")
    response = failed["response"]
    assert (failed["type"], response["status"], response["id"]) == ("response.failed", "failed", "resp_1")
    assert response["error"] == {"code": "server_error", "message": "it broke"}
    assert RESPONSES_CLIENT.name == NAME
    (alone,) = events_in(RESPONSES_CLIENT.broken_off(bad_request("it broke")))
    assert alone["error"] == error["error"]
