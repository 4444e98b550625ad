"""What every registered dialect promises: nothing is lost on the way, and nothing but an EndpointError comes of a bad reply."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.dialects.chat_body import BodyLimits, ChatBody, at_once, reading_body
from selfopt.dialects.events import EventReader
from selfopt.dialects.jsontext import dump_json
from selfopt.dialects.kinds import ENDPOINT_KINDS, Dialect
from selfopt.dialects.openai_client import OPENAI_CLIENT
from selfopt.dialects.parts import MAX_CALLS, Parts, decode_body
from selfopt.errors import EndpointError
from selfopt.records import ChatRequest, EndpointConfig, Message, ReplyContent, Sampling, ToolCall, ToolDefinition
from selfopt.scripted import vendors
from selfopt.scripted.script import ScriptedCall, ScriptedReply
from selfopt.scripted.vendors import Answer

Whole = Callable[[Answer], dict[str, Any]]
Pieces = Callable[[Answer], Iterator[str]]
# How servers of each dialect write, as their makers document it. Of a new dialect, its test says so with `whole` and `pieces`:
# `tests/dialects/test_NAME.py` for one of ours, a module `test_NAME` on the path for one of a package.
SERVERS: dict[str, tuple[Whole, Pieces]] = {
    "openai_chat": (vendors.openai_reply, vendors.openai_pieces),
    "ollama": (vendors.ollama_reply, vendors.ollama_pieces),
    "anthropic": (vendors.anthropic_reply, vendors.anthropic_events),
}
HERE = EndpointConfig(name="any", kind="any", base_url="http://127.0.0.1:1", local=True)
KNOWN: dict[str, Dialect] = {kind.speaks: kind.dialect(HERE) for kind in ENDPOINT_KINDS.all().values()}
DIALECTS = sorted(KNOWN.items())
for place, added in itertools.product(("", "tests.dialects."), sorted(KNOWN.keys() - SERVERS.keys())):
    if importlib.util.find_spec(f"{place}test_{added}"):
        module = importlib.import_module(f"{place}test_{added}")
        SERVERS[added] = (module.whole, module.pieces)
every_dialect = pytest.mark.parametrize(("name", "dialect"), DIALECTS, ids=[name for name, _ in DIALECTS])

NAMES = st.text("abcdefghij_0123456789", min_size=1, max_size=12)
TEXTS = st.text(max_size=40).filter(lambda text: "think>" not in text)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
ARGUMENTS = st.dictionaries(NAMES, st.text(max_size=8) | st.integers(-1000, 1000) | st.booleans() | st.none(), max_size=3)
CALLS = st.lists(st.builds(ScriptedCall, name=NAMES, arguments=ARGUMENTS), max_size=4).map(tuple)
REPLIES = st.builds(
    ScriptedReply,
    text=TEXTS,
    thinking=TEXTS,
    tool_calls=CALLS,
    finish_reason=st.sampled_from([None, "stop", "length"]),
)


def answer_of(reply: ScriptedReply) -> Answer:
    """The reply on its way."""
    return Answer("m", reply, number=1, input_chars=40, load_ms=0.0, output_ms=12.0)


def decoded(dialect: Dialect, text: str) -> tuple[Parts, str, str, list[ToolCall]]:
    """A streamed body put together: the whole, and the texts, thoughts and calls that its pieces told."""
    decoder, events, texts, thoughts = dialect.decoder(), EventReader(), "", ""
    calls: list[ToolCall] = []
    for line in text.split("\n"):
        for value in events.read(line.removesuffix("\r")):
            said, thought = decoder.add(value)
            texts, thoughts = texts + said, thoughts + thought
            calls += decoder.ended()
        if decoder.over or events.done:
            break
    assert decoder.finished or events.done
    return decoder.done(), texts, thoughts, calls


def test_every_registered_dialect_is_looked_at() -> None:
    """One without a server to compare it with is not known to work."""
    assert {name for name, _ in DIALECTS} == set(SERVERS)


@every_dialect
def test_it_has_what_a_dialect_needs(name: str, dialect: Dialect) -> None:
    """A name, an address for chats under its root, and headers; the key is in none but the headers."""
    kind = next(kind for kind in ENDPOINT_KINDS.all().values() if kind.speaks == name)
    keyed = kind.dialect(
        EndpointConfig.model_validate({"name": "e", "kind": "k", "base_url": "http://h:1", "api_key": "sk-secret"})
    )
    assert keyed.name == name
    assert keyed.url.startswith(f"{keyed.root}/")
    assert any("sk-secret" in value for value in keyed.headers.values())
    assert "sk-secret" not in keyed.url + json.dumps(keyed.write_request(a_request()))
    assert not any("sk-" in value for value in dialect.headers.values())


def a_request(**fields: Any) -> ChatRequest:
    """A request with one user message."""
    return ChatRequest.model_validate({"model": "m", "messages": (Message(role="user", content="x"),), **fields})


@every_dialect
@settings(deadline=None)
@given(reply=REPLIES)
def test_a_reply_is_the_same_whole_and_streamed(name: str, dialect: Dialect, reply: ScriptedReply) -> None:
    """Texts, thinking, calls, the reason and the tokens; and the pieces add up to the whole."""
    write_whole, write_pieces = SERVERS[name]
    answer = answer_of(reply)
    whole = dialect.decode_reply(json.loads(json.dumps(write_whole(answer))))
    parts, texts, thoughts, calls = decoded(dialect, "".join(write_pieces(answer)))
    assert parts.content() == whole.content()
    assert (texts, thoughts) == (whole.text, whole.thinking) == (reply.text, reply.thinking)
    assert (parts.usage, parts.model) == (whole.usage, whole.model)
    assert parts.usage.output_tokens == answer.output_tokens
    assert [(c.name, c.arguments) for c in whole.tool_calls] == [(c.name, c.arguments) for c in reply.tool_calls]
    assert calls == parts.tool_calls[: len(calls)], "what has ended is not taken back"


@every_dialect
@pytest.mark.parametrize("error", ["out of memory", {"message": "no", "type": "x"}, {"code": 429, "message": "wait"}, [1], 7])
def test_an_error_in_a_body_is_an_endpoint_error(name: str, dialect: Dialect, error: Any) -> None:
    """Whole and in mid-stream, though the status was a good one."""
    with pytest.raises(EndpointError):
        dialect.decode_reply({"error": error})
    with pytest.raises(EndpointError):
        dialect.decoder().add({"error": error})


@every_dialect
@settings(deadline=None)
@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_else(name: str, dialect: Dialect, body: bytes) -> None:
    """A reply, or an EndpointError."""
    with contextlib.suppress(EndpointError):
        assert decode_body(dialect.decode_reply, body) is not None


def replaced(value: Any, at: int, by: Any) -> Any:
    """A JSON value with its part number `at`, counted from its leaves up, replaced."""
    count = iter(range(1_000_000))

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            node = {key: walk(inner) for key, inner in node.items()}
        elif isinstance(node, list):
            node = [walk(inner) for inner in node]
        return by if next(count) == at else node

    return walk(value)


@every_dialect
@settings(deadline=None)
@given(reply=REPLIES, at=st.integers(0, 40), by=JSON)
def test_a_reply_with_a_part_of_another_shape_raises_nothing_else(
    name: str, dialect: Dialect, reply: ScriptedReply, at: int, by: Any
) -> None:
    """Whole; and each piece of a stream."""
    write_whole, write_pieces = SERVERS[name]
    with contextlib.suppress(EndpointError):
        decode_body(dialect.decode_reply, dump_json(replaced(write_whole(answer_of(reply)), at, by)))
    decoder, events = dialect.decoder(), EventReader()
    with contextlib.suppress(EndpointError, ValueError):
        for line in "".join(write_pieces(answer_of(reply))).split("\n"):
            for value in events.read(line):
                decoder.add(replaced(value, at, by))
                decoder.ended()
        decoder.done().content()


@every_dialect
def test_calls_without_end_are_refused(name: str, dialect: Dialect) -> None:
    """Whole and streamed: what a server sends is bounded."""
    reply = ScriptedReply(tool_calls=tuple(ScriptedCall(name="t", arguments={}) for _ in range(MAX_CALLS + 1)))
    write_whole, write_pieces = SERVERS[name]
    with pytest.raises(ValueError, match="more than"):
        dialect.decode_reply(write_whole(answer_of(reply)))
    with pytest.raises(ValueError, match="more than"):
        decoded(dialect, "".join(write_pieces(answer_of(reply))))


@every_dialect
def test_fields_that_it_alone_knows_travel_beside(name: str, dialect: Dialect) -> None:
    """A server of the same dialect gets them as they are, one of another none of them."""
    plain = dialect.write_request(a_request())
    own = dialect.write_request(a_request(beside={name: {"x_field": [1, {"a": None}]}}))
    assert own == {**plain, "x_field": [1, {"a": None}]}
    assert dialect.write_request(a_request(beside={"another": {"x_field": 1}})) == plain


@every_dialect
def test_a_streamed_request_differs_only_in_how_it_is_answered(name: str, dialect: Dialect) -> None:
    """The same is asked."""
    whole, streamed = (dialect.write_request(a_request(), streamed=streamed) for streamed in (False, True))
    assert streamed["stream"] is True
    assert {k for k in whole | streamed if whole.get(k) != streamed.get(k)} <= {"stream", "stream_options"}


TOOLS = st.lists(NAMES, unique=True, max_size=3).map(
    lambda names: tuple(ToolDefinition(name=name, description=f"does {name}", parameters={"type": "object"}) for name in names)
)
MESSAGES = st.lists(
    st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=st.text(max_size=20))
    | st.builds(
        Message,
        role=st.just("assistant"),
        content=st.text(max_size=20),
        tool_calls=st.lists(st.builds(ToolCall, name=NAMES, arguments=ARGUMENTS, id=NAMES), min_size=1, max_size=2).map(tuple),
    )
    | st.builds(Message, role=st.just("tool"), content=st.text(max_size=20), tool_call_id=NAMES, name=NAMES),
    min_size=1,
    max_size=4,
).map(tuple)
REQUESTS = st.builds(
    lambda tools, choice, **fields: ChatRequest(tools=tools, tool_choice=choice if tools else "auto", **fields),
    tools=TOOLS,
    choice=st.sampled_from(["auto", "none", "required"]),
    model=st.just("m"),
    messages=MESSAGES,
    sampling=st.builds(
        Sampling,
        temperature=st.floats(0, 2),
        top_p=st.none() | st.floats(0.01, 1),
        seed=st.none() | st.integers(0, 1000),
        max_tokens=st.integers(1, 32768),
    ),
    isolate=st.booleans(),
)


@settings(deadline=None)
@given(request=REQUESTS)
def test_what_is_written_for_a_server_is_read_from_a_client(request: ChatRequest) -> None:
    """The same request comes back, and the same body when it is written again: what has no words travels beside."""
    dialect = KNOWN[OPENAI_CLIENT.name]
    body = dialect.write_request(request)
    asked = at_once(OPENAI_CLIENT.reading_request(at_once(reading_body(dump_json(body), BodyLimits())), "openai_chat"))
    read = asked.request
    assert (read.model, read.messages, read.tools) == (request.model, request.messages, request.tools)
    assert (read.tool_choice, read.sampling) == (request.tool_choice, request.sampling)
    assert asked.max_tokens == request.sampling.max_tokens
    assert dialect.write_request(read) == body


def test_fields_of_a_client_that_nobody_knows_are_kept_as_they_came() -> None:
    """Not a byte of them is changed, and none vanishes."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "x"}], "logprobs": true, "x_new": {"b": 1, "a": [1.50, 2]}}'
    asked = at_once(OPENAI_CLIENT.reading_request(at_once(reading_body(body, BodyLimits())), "openai_chat"))
    beside = asked.request.beside[OPENAI_CLIENT.name]
    assert {key: bytes(value) for key, value in beside.items()} == {"logprobs": b"true", "x_new": b'{"b": 1, "a": [1.50, 2]}'}


@settings(deadline=None)
@given(text=st.text(max_size=30), calls=CALLS, finish=st.sampled_from(["stop", "length"]))
def test_an_answer_for_a_client_reads_as_it_was_meant(text: str, calls: tuple[ScriptedCall, ...], finish: str) -> None:
    """Written here and read as a server's: whole and streamed, it is what was said."""
    dialect = KNOWN[OPENAI_CLIENT.name]
    made = [ToolCall.model_validate({"name": c.name, "arguments": c.arguments}) for c in calls]
    writer = OPENAI_CLIENT.reply("req-1", "m", ChatBody({}, "m", False, 0, "atomic", 0))
    said = ReplyContent.model_validate({"text": text, "tool_calls": tuple(made), "finish_reason": finish})
    writer.settle(said, a_usage := Parts().usage.model_copy(update={"input_tokens": 3, "output_tokens": 4}))
    whole = dialect.decode_reply(json.loads(writer.whole()))
    pieces = [writer.piece(), writer.piece(text) if text else b"", *(writer.piece(call=pair) for pair in enumerate(made))]
    streamed, texts, _, _ = decoded(dialect, b"".join([*pieces, writer.ending(with_usage=True)]).decode())
    assert whole.text == texts == text
    assert [(c.name, c.arguments) for c in whole.tool_calls] == [(c.name, c.arguments) for c in made]
    assert (streamed.tool_calls, streamed.finish, streamed.usage) == (whole.tool_calls, whole.finish, whole.usage)
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (a_usage.input_tokens, a_usage.output_tokens)
