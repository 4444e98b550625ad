"""The quick way to read a reply says what the thorough one says, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.ordinary_reply import ordinary_reply
from selfopt.dialects.parts import decode_body
from selfopt.errors import EndpointError
from selfopt.records import ChatReply, EndpointConfig
from tests.examples import some_of

SERVER = OpenAIChat(EndpointConfig(name="it", kind="any", base_url="http://127.0.0.1:1", server="other"))
ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats(width=32) | st.text(max_size=4) | st.just([]) | st.just({})
)


def often(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what is usual, now and then anything."""
    return st.integers(0, 15).flatmap(lambda number: usual if number else ODD)


TEXT = st.text(max_size=8) | st.sampled_from(["<think>so</think> Paris", " a ", "<tool_call>{}</tool_call>"])
COUNT = often(st.none() | st.integers(0, 99))
MS = often(st.none() | st.floats(0, 1e6) | st.integers(0, 9))
ARGUMENTS = often(st.sampled_from(['{"city": "Paris"}', "{}", "", " ", "{", "[1]", '{"x": NaN}', '{"x": "\\ud800"}']))
CALL = st.fixed_dictionaries(
    {"function": often(st.fixed_dictionaries({"name": often(st.text(max_size=3)), "arguments": ARGUMENTS}))},
    optional={"id": often(st.text(max_size=3)), "type": ODD, "index": ODD},
)
MESSAGE = st.fixed_dictionaries(
    {"content": often(st.none() | TEXT)},
    optional={
        "role": ODD,
        "reasoning_content": often(st.none() | TEXT),
        "reasoning": often(st.none() | TEXT),
        "refusal": often(st.none() | TEXT),
        "tool_calls": often(st.none() | st.lists(often(CALL), max_size=3)),
        "function_call": often(st.none()),
    },
)
CHOICE = st.fixed_dictionaries(
    {"message": often(MESSAGE)},
    optional={"finish_reason": often(st.sampled_from(["stop", "length", "TOOL_CALLS", None])), "index": often(st.just(0))},
)
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "prompt_tokens_details": often(st.fixed_dictionaries({}, optional={"cached_tokens": COUNT})),
        "completion_tokens_details": often(st.none() | st.fixed_dictionaries({}, optional={"reasoning_tokens": COUNT})),
    },
)
TIMINGS = st.fixed_dictionaries({}, optional={"prompt_ms": MS, "predicted_ms": MS, "cache_n": COUNT})
REPLY = st.fixed_dictionaries(
    {"choices": often(st.lists(CHOICE, min_size=1, max_size=1) | st.lists(CHOICE, max_size=2))},
    optional={
        "model": often(st.text(max_size=3)),
        "usage": often(st.none() | USAGE),
        "timings": often(st.none() | TIMINGS),
        "error": often(st.none()),
        "x": ODD,
    },
)


def thoroughly(body: bytes) -> ChatReply | None:
    """What the thorough way reads; None for an error."""
    try:
        return decode_body(SERVER.decode_reply, body)
    except EndpointError:
        return None


@settings(deadline=None, max_examples=some_of(400))
@given(value=REPLY, ascii_only=st.booleans(), around=st.sampled_from(["", " ", "\n", "\ufeff", "x"]))
def test_a_reply_that_is_read_quickly_is_read_alike(value: Any, ascii_only: bool, around: str) -> None:
    """Content, calls, figures and the model, for every reply that it reads at all."""
    body = (around + json.dumps(value, ensure_ascii=ascii_only)).encode("utf-8", "replace")
    found = ordinary_reply(body)
    assert found is None or found == thoroughly(body)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "Paris."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}}]},
        {"role": "assistant", "content": "", "refusal": "No."},
        {"role": "assistant", "content": "é", "reasoning_content": "hm"},
    ],
)
def test_what_servers_usually_say_is_read_quickly(message: dict[str, Any]) -> None:
    """Texts, calls, refusals and thinking, with figures."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    timings = {"prompt_ms": 1.5, "predicted_ms": 2, "cache_n": 7}
    body = json.dumps({"id": "x", "model": "m", "choices": [choice], "usage": usage, "timings": timings}).encode()
    found = ordinary_reply(body)
    assert found is not None
    assert found == thoroughly(body)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"choices":[]}', b'{"choices":[{"message":{"content":"\xff"}}],"x":"\xff"}'])
def test_what_is_no_reply_is_left_to_the_thorough_way(body: bytes) -> None:
    """It says what is wrong."""
    assert ordinary_reply(body) is None


def test_a_deep_reply_is_left_to_the_thorough_way() -> None:
    """It looks at the depth before it decodes."""
    body = b'{"choices":[{"message":{"content":"x"}}],"x":%s}' % (b"[" * 5000 + b"]" * 5000)
    assert ordinary_reply(body) is None
