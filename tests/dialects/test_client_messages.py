"""Whatever a client sends is read without loss, or goes past: nothing else happens."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.chat_body import BodyLimits, at_once, reading_body
from selfopt.dialects.client_messages import PLAIN_BYTES, plain_messages, reading_message
from selfopt.dialects.clients import ClientRequest, NoWordsError
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.openai_client import reading_request
from selfopt.dialects.refusal import Refusal
from selfopt.records import EndpointConfig

SERVER = OpenAIChat(EndpointConfig(name="it", kind="any", base_url="http://127.0.0.1:1", server="other"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(st.text(max_size=4), JSON, max_size=3)
TEXT = st.text(max_size=8)
NAME = st.sampled_from(["play", "get_weather", "a.b/c"])


def often(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is usual, now and then anything."""
    return st.integers(0, 15).flatmap(lambda number: usual if number else JSON)


TEXT_PART = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
PART = TEXT_PART | st.fixed_dictionaries(
    {"type": often(st.sampled_from(["text", "image_url", "refusal", "input_audio", "file"]))},
    optional={"text": often(TEXT), "image_url": often(st.fixed_dictionaries({"url": TEXT})), "refusal": TEXT, "x": JSON},
)
CONTENT = often(st.none() | TEXT | st.lists(TEXT_PART, max_size=3)) | st.lists(PART, max_size=3)
ARGUMENTS = often(st.one_of(OBJECT.map(json.dumps), OBJECT, st.sampled_from(["", " ", None]))) | st.sampled_from(
    ["{", "[1]", '{"x": NaN}']
)
CALL = st.fixed_dictionaries(
    {"function": often(st.fixed_dictionaries({"name": NAME, "arguments": ARGUMENTS}))},
    optional={"id": often(st.sampled_from(["c1", "c2"])), "type": often(st.just("function")), "index": often(st.just(0))},
)
MESSAGE = st.fixed_dictionaries(
    {"role": often(st.sampled_from(["system", "developer", "user", "assistant", "assistant", "tool", "function"]))},
    optional={
        "content": CONTENT,
        "tool_calls": often(st.none() | st.lists(CALL, max_size=2)),
        "function_call": often(st.none() | st.fixed_dictionaries({"name": NAME, "arguments": ARGUMENTS})),
        "tool_call_id": often(st.sampled_from(["c1", "c2"])),
        "name": often(NAME),
        "refusal": often(st.none()),
        "reasoning_content": often(TEXT),
        "audio": often(st.none()),
        "x": JSON,
    },
)
TOOL = st.fixed_dictionaries(
    {"function": often(st.fixed_dictionaries({"name": often(NAME)}, optional={"parameters": often(OBJECT), "strict": JSON}))},
    optional={"type": often(st.just("function")), "x": JSON},
)
CHOICE = st.one_of(
    st.sampled_from(["auto", "none", "required", "any", None]),
    st.sampled_from(["auto", "none", "required", "any", ""]),
    st.fixed_dictionaries({"type": often(st.just("function"))}, optional={"function": JSON, "name": often(NAME)}),
)


def read(**fields: Any) -> ClientRequest | None:
    """The request that a body is read as; None if it goes past, or is refused before it is read."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}).encode()
    try:
        return at_once(reading_request(at_once(reading_body(body, BodyLimits()))))
    except (NoWordsError, Refusal):
        return None


def told(message: dict[str, Any]) -> dict[str, Any]:
    """What a message says, whatever its form: without null, calls with their arguments read, text in one piece."""
    said = {key: value for key, value in message.items() if value is not None and key not in ("tool_calls", "function_call")}
    said["role"] = {"developer": "system", "function": "tool"}.get(message["role"], message["role"])
    content = said.pop("content", None)
    said["text"] = "\n".join(part["text"] for part in content) if isinstance(content, list) else content or ""
    calls = [call["function"] for call in message.get("tool_calls") or ()] or [message.get("function_call")]
    said["calls"] = [(call["name"], _arguments(call["arguments"])) for call in calls if call]
    said.pop("tool_call_id", None)  # which is made up where the client has none
    if said["role"] == "tool":
        said.pop("name", None)
    return said


def _arguments(written: Any) -> Any:
    if isinstance(written, str):
        return json.loads(written) if written.strip() else {}
    return {} if written is None else written


@settings(deadline=None)
@given(messages=st.lists(MESSAGE, min_size=1, max_size=4))
def test_what_is_read_is_written_again_without_loss(messages: list[dict[str, Any]]) -> None:
    """Text, calls and their arguments, keys that no record knows."""
    asked = read(messages=messages)
    if asked is not None and asked.beyond is None:
        written = SERVER.write_request(asked.request)["messages"]
        assert [told(message) for message in written] == [told(message) for message in messages]


@settings(deadline=None)
@given(
    tools=st.lists(TOOL, max_size=3),
    tool_choice=CHOICE,
    numbers=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["temperature", "top_p", "seed", "max_tokens", "parallel_tool_calls"], JSON | st.floats(-1, 3))
    ),
    stream_options=JSON,
)
def test_tools_choices_and_numbers_are_read_or_go_past(
    tools: list[Any], tool_choice: Any, numbers: dict[str, Any], stream_options: Any
) -> None:
    """Tools come back as they were sent; a limit and a temperature that are read are in range."""
    asked = read(tools=tools, tool_choice=tool_choice, stream_options=stream_options, **numbers)
    if asked is None or asked.beyond is not None:
        return
    assert 0 <= asked.request.sampling.temperature <= 2
    assert asked.max_tokens is None or asked.max_tokens >= 1
    if len(asked.request.tools) == len(tools) > 0:
        for written, sent in zip(SERVER.write_request(asked.request)["tools"], tools, strict=True):
            assert {key: value for key, value in written.items() if key != "function"} == {
                key: value for key, value in sent.items() if key != "function"
            }
            said = {key: value for key, value in sent["function"].items() if value is not None}
            assert {**written["function"], **said} == {**said, **written["function"]}


def one_by_one(messages: list[dict[str, Any]]) -> list[Any] | None:
    """The messages as they are read in any form; None if one goes past, or records cannot express it."""
    try:
        read = [at_once(reading_message(msgspec.Raw(json.dumps(message).encode()), 0)) for message in messages]
    except NoWordsError:
        return None
    return None if any(beyond for _, beyond in read) else [message for message, _ in read]


@settings(deadline=None)
@given(messages=st.lists(MESSAGE, min_size=1, max_size=4))
def test_messages_that_are_read_in_one_step_are_read_alike(messages: list[dict[str, Any]]) -> None:
    """Most messages are plain; any other list is read message by message."""
    found = plain_messages(msgspec.Raw(json.dumps(messages).encode()))
    assert found is None or found == one_by_one(messages)


def test_a_conversation_with_calls_is_read_in_one_step_unless_it_is_large() -> None:
    """A step takes a few milliseconds at most."""
    call = {"id": "c", "type": "function", "function": {"name": "play", "arguments": '{"title": "é"}'}}
    talk: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "play it"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "played"},
    ]
    assert plain_messages(msgspec.Raw(json.dumps(talk).encode())) == one_by_one(talk)
    large = [{"role": "user", "content": "x" * PLAIN_BYTES}]
    assert plain_messages(msgspec.Raw(json.dumps(large).encode())) is None
