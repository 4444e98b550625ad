"""Requests in Anthropic's Messages: nothing breaks the reader, nothing is lost in silence, and answers read as they were meant."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.anthropic import Anthropic
from selfopt.dialects.chat_body import BodyLimits, at_once
from selfopt.dialects.clients import ClientRequest, NoWordsError, RawCall
from selfopt.dialects.kinds import ENDPOINT_KINDS, Dialect
from selfopt.dialects.messages_client import MESSAGES_CLIENT
from selfopt.dialects.parts import Parts
from selfopt.dialects.passed_messages import TYPES, error_type, without_unsigned
from selfopt.dialects.refusal import Refusal
from selfopt.errors import EndpointError
from selfopt.gateway.offered import may_call, wants_other_form
from selfopt.gateway.tool_offer import tools_offered
from selfopt.records import EndpointConfig, ReplyContent, ToolCall, Usage
from tests.examples import some_of

SERVERS: dict[str, Dialect] = {
    kind.speaks: kind.dialect(EndpointConfig(name="it", kind="any", base_url="http://127.0.0.1:1", server="other"))
    for kind in ENDPOINT_KINDS.all().values()
}
TOOL = {"name": "t", "description": "d", "input_schema": {"type": "object", "properties": {}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


BODY = at_once(MESSAGES_CLIENT.reading_body(b'{"model":"m","messages":[{"role":"user"}]}', BodyLimits()))


def asked(server: str, **fields: Any) -> ClientRequest:
    """What a body is read as for a server of this dialect."""
    body = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "x"}], **fields}
    chat = at_once(MESSAGES_CLIENT.reading_body(json.dumps(body).encode(), BodyLimits()))
    return at_once(MESSAGES_CLIENT.reading_request(chat, server))


def written(server: str, **fields: Any) -> dict[str, Any]:
    """The body that such a server gets."""
    return SERVERS[server].write_request(asked(server, **fields).request)


LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        "text",
        "image",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "custom",
        "auto",
        "any",
        "tool",
        "none",
        "enabled",
        "adaptive",
        "disabled",
        "json_schema",
        "base64",
        "url",
        "user",
        "assistant",
        "low",
        "ephemeral",
    ]
)
KEYS = st.sampled_from(
    [
        "type",
        "text",
        "content",
        "id",
        "name",
        "input",
        "tool_use_id",
        "is_error",
        "source",
        "media_type",
        "data",
        "url",
        "thinking",
        "signature",
        "cache_control",
        "role",
        "budget_tokens",
        "format",
        "schema",
        "effort",
        "user_id",
        "input_schema",
        "description",
        "strict",
        "disable_parallel_tool_use",
        "citations",
    ]
)
JSON = st.recursive(
    LEAVES | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
FIELDS = st.sampled_from(
    [
        "model",
        "messages",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "metadata",
        "thinking",
        "output_config",
        "output_format",
        "service_tier",
        "container",
        "mcp_servers",
        "context_management",
        "inference_geo",
        "cache_control",
        "stream",
        "brand_new",
    ]
)
TURN = st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": JSON})
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None, max_examples=some_of(300))
@given(
    body=st.dictionaries(FIELDS, JSON, max_size=6) | JSON,
    turns=st.lists(TURN, min_size=1, max_size=3),
    plain=st.booleans(),
    server=st.sampled_from(sorted(SERVERS)),
)
def test_any_json_is_read_or_refused(body: Any, turns: list[Any], plain: bool, server: str) -> None:
    """By a refusal, a part that has no words, or an error that names a field; what the gateway looks at never fails."""
    if plain and isinstance(body, dict):
        body = {**body, "model": "m", "messages": turns}
    try:
        chat = at_once(MESSAGES_CLIENT.reading_body(json.dumps(body).encode(), BodyLimits()))
    except Refusal:
        return
    assert isinstance(chat.fields, dict)
    tools_offered(chat), may_call(chat), wants_other_form(chat)
    assert json.loads(chat.forwarded("s")) == {**body, "model": "s"}
    try:
        read = at_once(MESSAGES_CLIENT.reading_request(chat, server))
    except (NoWordsError, Refusal):
        return
    with suppress(EndpointError):
        json.dumps(SERVERS[server].write_request(read.request))


# One value of each field, and where it is to be found at the servers. None: refused. "same": as it was sent.
CARRIED: dict[str, tuple[Any, Any, Any, Any]] = {
    # field: value, at OpenAI's, at Ollama, at Anthropic
    "max_tokens": (9, ("max_tokens", 9), ("options.num_predict", 9), "same"),
    "temperature": (0.3, "same", ("options.temperature", 0.3), "same"),
    "top_p": (0.9, "same", ("options.top_p", 0.9), "same"),
    "top_k": (5, "same", ("options.top_k", 5), "same"),
    "stop_sequences": (["END"], ("stop", ["END"]), ("options.stop", ["END"]), "same"),
    "metadata": ({"user_id": "u"}, ("user", "u"), ("user", "u"), "same"),
    "system": ("Be brief.", ("messages", None), ("messages", None), "same"),
    "thinking": ({"type": "enabled", "budget_tokens": 4096}, ("reasoning_effort", "medium"), ("think", True), "same"),
    "output_config": ({"effort": "max"}, ("reasoning_effort", "xhigh"), ("think", "high"), "same"),
    "service_tier": ("standard_only", ("service_tier", "default"), ("service_tier", None), "same"),
    "cache_control": ({"type": "ephemeral"}, ("cache_control", None), ("cache_control", None), "same"),
    "container": ("c", None, None, "same"),
    "mcp_servers": ([{"name": "x"}], None, None, "same"),
    "context_management": ({"edits": []}, None, None, "same"),
    "inference_geo": ("us", None, None, "same"),
    "speed": ("fast", None, None, "same"),
    "fallbacks": ([{"model": "x"}], None, None, "same"),
    "brand_new": (1, None, None, None),
}


def at(body: Any, place: str) -> Any:
    """What is at a place with dots."""
    for key in place.split("."):
        body = body.get(key) if isinstance(body, dict) else None
    return body


@pytest.mark.parametrize("field", CARRIED)
@pytest.mark.parametrize(("number", "server"), list(enumerate(["openai_chat", "ollama", "anthropic"])))
def test_every_field_is_carried_or_refused_by_its_name(field: str, number: int, server: str) -> None:
    """Nothing that a client says vanishes."""
    value, *places = CARRIED[field]
    place = places[number]
    if place is None:
        with pytest.raises((NoWordsError, EndpointError)) as refused:
            written(server, **{field: value})
        assert field in str(refused.value)
        return
    body = written(server, **{field: value})
    if place == "same":
        assert body[field] == value
    elif field == "system":
        assert body["messages"][0] == {"role": "system", "content": value}
    else:
        assert at(body, place[0]) == place[1]


@pytest.mark.parametrize("place", ["output_config", "output_format"])
@pytest.mark.parametrize("server", sorted(SERVERS))
def test_the_form_of_the_answer_is_carried(server: str, place: str) -> None:
    """Whichever of its fields the client uses."""
    form = {"type": "json_schema", "schema": SCHEMA}
    body = written(server, **{place: {"format": form} if place == "output_config" else form})
    if server == "anthropic":
        assert body["output_config"]["format"] == form
    elif server == "ollama":
        assert body["format"] == SCHEMA
    else:
        assert body["response_format"]["json_schema"]["schema"] == SCHEMA


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({"type": "disabled"}, "none"),
        ({"type": "adaptive"}, "medium"),
        ({"type": "enabled", "budget_tokens": 1024}, "low"),
        ({"type": "enabled", "budget_tokens": 16_384}, "high"),
    ],
)
def test_a_wish_to_think_is_an_effort_for_openais_servers(thinking: dict[str, Any], effort: str) -> None:
    """An effort that the client names itself comes before it, unless it wants no thinking."""
    assert written("openai_chat", thinking=thinking)["reasoning_effort"] == effort
    both = written("openai_chat", thinking=thinking, output_config={"effort": "high"})["reasoning_effort"]
    assert both == ("none" if effort == "none" else "high")


@pytest.mark.parametrize(
    ("choice", "mode", "parallel"),
    [
        ({"type": "auto"}, "auto", True),
        ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
        ({"type": "tool", "name": "t"}, "required", True),
        ({"type": "none"}, "none", True),
    ],
)
def test_a_choice_among_tools_is_read(choice: dict[str, Any], mode: str, parallel: bool) -> None:
    """And written for a server of the same dialect as it can be."""
    read = asked("anthropic", tools=[TOOL], tool_choice=choice)
    assert (read.request.tool_choice, read.parallel) == (mode, parallel)
    body = SERVERS["anthropic"].write_request(read.request)
    assert body["tools"] == [TOOL]
    assert body["tool_choice"].get("disable_parallel_tool_use", False) is not parallel


CALLS = st.lists(
    st.builds(
        ToolCall,
        name=st.text("abc_", min_size=1, max_size=8),
        arguments=st.dictionaries(TEXT, TEXT | st.integers() | st.booleans(), max_size=3),
        id=st.none() | st.text("abc123", min_size=1, max_size=8),
    ),
    max_size=3,
)
BLOCKS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT.filter(bool))
    | st.builds(
        lambda data: {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}, st.text("abc")
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(system=TEXT, blocks=BLOCKS, results=st.lists(st.tuples(TEXT, st.booleans()), max_size=2), said=TEXT.filter(bool))
def test_a_conversation_comes_back_from_its_translation(
    system: str, blocks: list[dict[str, Any]], results: list[tuple[str, bool]], said: str
) -> None:
    """For a server of the same dialect: roles, texts, pictures, calls and their results."""
    calls = [{"type": "tool_use", "id": f"i{n}", "name": "t", "input": {"n": n}} for n in range(len(results))]
    told = [
        {"type": "tool_result", "tool_use_id": f"i{n}", "content": text, **({"is_error": True} if failed else {})}
        for n, (text, failed) in enumerate(results)
    ]
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": blocks},
        {"role": "assistant", "content": [{"type": "text", "text": said}, *calls]},
        {"role": "user", "content": [*told, {"type": "text", "text": said}]},
    ]
    body = written("anthropic", system=system, messages=turns)
    assert body.get("system", "") == system
    pictures = [block for block in blocks if block["type"] == "image"]
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    assert body["messages"][0]["content"] == [*pictures, *([{"type": "text", "text": text}] if text else [])]
    assert body["messages"][1:] == turns[1:]
    plain = written("openai_chat", messages=turns)["messages"]
    assert [m["role"] for m in plain] == ["user", "assistant", *["tool"] * len(results), "user"]
    assert [call["id"] for call in plain[1].get("tool_calls", ())] == [call["id"] for call in calls]


@settings(deadline=None)
@given(
    thinking=TEXT.map(str.strip),
    text=TEXT,
    calls=CALLS,
    finish=st.sampled_from(["stop", "length", "content_filter"]),
    cuts=st.integers(1, 9),
)
def test_an_answer_reads_as_it_was_meant(thinking: str, text: str, calls: list[ToolCall], finish: Any, cuts: int) -> None:
    """Written here and read as a server's: whole and streamed, it is what was said."""
    writer = MESSAGES_CLIENT.reply("req-1", "m", BODY)
    writer.thinking = thinking
    usage = Usage(input_tokens=9, output_tokens=4, cached_tokens=3)
    writer.settle(ReplyContent(text=text, tool_calls=tuple(calls), finish_reason=finish), usage)
    server = Anthropic(EndpointConfig(name="it", kind="anthropic"))
    whole = server.decode_reply(json.loads(writer.whole()))

    stream = MESSAGES_CLIENT.reply("req-1", "m", BODY)
    events = [stream.piece()]
    events += [stream.piece(thinking=thinking[n : n + cuts]) for n in range(0, len(thinking), cuts)]
    events += [stream.piece(text[n : n + cuts]) for n in range(0, len(text), cuts)]
    events += [stream.piece(call=(n, call)) for n, call in enumerate(calls)]
    stream.settle(ReplyContent(text=text, tool_calls=tuple(calls), finish_reason=finish), usage)
    events.append(stream.ending(with_usage=True))
    decoder = server.decoder()
    for one in b"".join(events).split(b"\n\n"):
        if one:
            decoder.add(json.loads(one.partition(b"data: ")[2]))
    assert decoder.over

    def said(parts: Parts) -> Any:
        return parts.text, parts.thinking, [(c.name, c.arguments) for c in parts.tool_calls], parts.finish, parts.usage

    assert said(whole) == said(decoder.done())
    expected = finish if finish == "content_filter" and not calls else "tool_calls" if calls else finish
    assert said(whole) == (
        text,
        thinking,
        [(c.name, c.arguments) for c in calls],
        expected,
        usage.model_copy(update={"thinking_tokens": None}),
    )
    counted, streamed = (
        MESSAGES_CLIENT.passed.counted(writer.whole()),
        MESSAGES_CLIENT.passed.counted_in(b"".join(events), b"".join(events)),
    )
    assert counted is not None
    assert streamed is not None
    assert (counted.asked, counted.said, counted.cached) == (9, 4, 3)
    assert (streamed.asked, streamed.said) == (9, 4)


def test_arguments_that_nobody_could_read_reach_the_client() -> None:
    """As a text, since a block has to hold an object."""
    writer = MESSAGES_CLIENT.reply("req-1", "m", BODY)
    call = RawCall(name="t", raw="{oops")
    writer.settle(ReplyContent(tool_calls=(call,)), Usage())
    (block,) = json.loads(writer.whole())["content"]
    assert block["input"] == {"raw": "{oops"}
    assert b'{\\"raw\\":\\"{oops\\"}' in writer.piece(call=(0, call))


@given(head=st.binary(max_size=200), last=st.binary(max_size=200))
def test_no_bytes_of_a_server_break_the_counting(head: bytes, last: bytes) -> None:
    """Nor its errors."""
    passed = MESSAGES_CLIENT.passed
    marked = b'data: {"type":"message_start"' + head
    passed.counted(head), passed.counted_in(head, last), passed.counted_in(marked, marked), passed.ended(last), passed.error(head)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"busy"},"request_id":"r"}',
        b'{"error":{"code":400,"message":"no such thing","type":"invalid_request_error"}}',
        b'{"error":{"code":400,"message":"no such thing","type":"odd"}}',
    ],
)
def test_an_error_of_any_server_has_the_dialects_form(body: bytes) -> None:
    """One of its own stays as it is; another's keeps its message."""
    told = MESSAGES_CLIENT.passed.error(body)
    assert told is not None
    found = json.loads(told)
    assert (found["type"], found["error"]["message"]) == ("error", json.loads(body)["error"]["message"])
    assert found["error"]["type"] in TYPES
    assert MESSAGES_CLIENT.passed.error(b'{"error": "text"}') is None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 415, 422, 429, 431, 500, 502, 503, 504, 529])
def test_every_status_has_a_type(status: int) -> None:
    """One that the API has."""
    assert error_type(status) in TYPES


def test_only_thinking_that_nobody_signed_is_left_out() -> None:
    """A text that only looks like it changes nothing, and neither do fields that are not undecoded."""
    signed = {"type": "thinking", "thinking": "t", "signature": "s"}
    unsigned = {"type": "thinking", "thinking": "t", "signature": ""}
    text = {"type": "text", "text": '"signature":""'}
    turns = [{"role": "assistant", "content": [signed, unsigned, text]}, {"role": "assistant", "content": [unsigned]}]
    raw = {"messages": msgspec.Raw(json.dumps(turns).encode())}
    assert without_unsigned(raw) == {"messages": [{"role": "assistant", "content": [signed, text]}]}
    for kept in ({"messages": msgspec.Raw(json.dumps([{"role": "user", "content": [text]}]).encode())}, {"messages": turns}, {}):
        assert without_unsigned(kept) is kept


def test_what_ended_a_reply_is_told() -> None:
    """Whole and streamed, where the server says that a text of the client did."""
    server = Anthropic(EndpointConfig(name="it", kind="anthropic"))
    end = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    whole = server.decode_reply({"content": [{"type": "text", "text": "a"}], **end})
    decoder = server.decoder()
    for event in ({"type": "message_start", "message": {}}, {"type": "message_delta", "delta": end}, {"type": "message_stop"}):
        decoder.add(event)
    for parts in (whole, decoder.done()):
        writer = MESSAGES_CLIENT.reply("req-1", "m", BODY)
        writer.settle(parts.content(), Usage())
        assert end.items() <= json.loads(writer.whole()).items()
        assert b'"delta":{"stop_reason":"stop_sequence","stop_sequence":"END"}' in writer.ending(with_usage=True)


def _steps(body: bytes, server: str) -> list[float]:
    """The CPU seconds of each step of reading a body."""
    times, began = [], time.thread_time()
    steps = MESSAGES_CLIENT.reading_body(body, BodyLimits())
    try:
        while True:
            next(steps)
            times.append(time.thread_time() - began)
            began = time.thread_time()
    except StopIteration as end:
        reading = MESSAGES_CLIENT.reading_request(end.value, server)
    with suppress(NoWordsError, StopIteration):
        while True:
            next(reading)
            times.append(time.thread_time() - began)
            began = time.thread_time()
    return [*times, time.thread_time() - began]


@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "user", "content": [{"type": "text", "text": "x"}] * 60_000}],
        [{"role": "user", "content": [{"type": "text", "text": "x" * 100}]}] * 9_000,
        [{"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": {"a": [{}] * 900_000}}]}],
        [{"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": {"a": [0] * 90_000}}] * 9}],
        [
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "base64", "media_type": "a/b", "data": "A" * 9_000_000}}],
            }
        ],
    ],
)
@pytest.mark.parametrize("server", ["openai_chat", "anthropic"])
def test_no_body_holds_up_others(turns: list[Any], server: str) -> None:
    """It is read in many short steps, or refused for what is too much. CPU time counts, as others use this machine, too."""
    with suppress(Refusal):
        times = _steps(json.dumps({"model": "m", "messages": turns}).encode(), server)
        assert max(times) < 0.25


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"system": [{"type": "image", "source": {}}]}, "system"),
        ({"system": [{"type": "text", "text": "x", "brand_new": 1}]}, "system"),
        ({"system": 7}, "system"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "citations": [{}]}]}]}, "messages"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "name": "t", "input": {}, "toolset_name": "s"}]}]},
            "messages",
        ),
    ],
)
def test_what_cannot_be_said_of_a_block_names_its_field(fields: dict[str, Any], field: str) -> None:
    """Also in the system prompt. What is empty says nothing."""
    with pytest.raises(NoWordsError) as refused:
        asked("openai_chat", **fields)
    assert refused.value.param == field
    empty = [{"role": "user", "content": [{"type": "text", "text": "x", "citations": None}]}]
    assert asked("openai_chat", messages=empty).request.messages[0].content == "x"
