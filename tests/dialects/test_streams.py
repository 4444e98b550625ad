"""The pieces of a stream add up to the answer in one piece, whatever the habits of the server."""

from __future__ import annotations

import json

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from selfopt.dialects.anthropic import Anthropic
from selfopt.dialects.events import EventReader, LineSplitter
from selfopt.dialects.kinds import Dialect
from selfopt.dialects.ollama import Ollama
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.parts import Parts
from selfopt.records import EndpointConfig, ToolCall
from tests.examples import some_of

from .wild import ANTHROPIC, CUTS, OLLAMA, OPENAI, OPENAI_BROKEN, Server, cut

HERE = EndpointConfig(name="any", kind="any", base_url="http://127.0.0.1:1", local=True)
DIALECTS: dict[str, Dialect] = {one.name: one for one in (OpenAIChat(HERE), Ollama(HERE), Anthropic(HERE))}


def added_up(dialect: Dialect, data: bytes, cuts: tuple[int, ...]) -> tuple[Parts, str, str, list[ToolCall]]:
    """The whole, and the texts, thoughts and calls that the pieces told."""
    lines, events, decoder = LineSplitter(), EventReader(), dialect.decoder()
    texts, thoughts, calls = "", "", list[ToolCall]()
    read = [line.decode() for piece in cut(data, cuts) for line in lines.feed(piece)]
    rest = lines.end()
    values = [value for line in (*read, *([rest.decode()] if rest else [])) if not events.done for value in events.read(line)]
    for value in (*values, *(() if events.done else events.end())):
        said, thought = decoder.add(value)
        texts, thoughts = texts + said, thoughts + thought
        calls += decoder.ended()
        if decoder.over:
            break
    assert decoder.finished or events.done
    return decoder.done(), texts, thoughts, calls


def agrees(server: Server, cuts: tuple[int, ...]) -> Parts:
    """Text, thinking, calls in their order, ids, reason and tokens; nothing is taken back."""
    dialect = DIALECTS[server.dialect]
    whole = dialect.decode_reply(json.loads(json.dumps(server.whole())))
    parts, texts, thoughts, calls = added_up(dialect, server.stream(), cuts)
    assert parts.content() == whole.content()
    assert (parts.usage, parts.model) == (whole.usage, whole.model)
    assert calls == parts.tool_calls[: len(calls)]
    assert thoughts == whole.thinking == server.reply.thinking
    assert texts == ("" if whole.refused else whole.text)
    assert whole.text == (server.reply.text or server.reply.refusal)
    assert len(whole.tool_calls) + len(whole.broken) == len(server.reply.calls)
    return whole


@settings(deadline=None, max_examples=some_of(400))
@given(server=OPENAI, cuts=CUTS)
def test_a_stream_of_openais_dialect_adds_up(server: Server, cuts: tuple[int, ...]) -> None:
    """Calls without an index, with one for all, with repeated names, as objects, in messages; every lawful form of events."""
    whole = agrees(server, cuts)
    assert [(c.name, c.arguments) for c in whole.tool_calls] == [(c.name, c.arguments) for c in server.reply.calls]


@settings(deadline=None, max_examples=some_of(200))
@given(server=OPENAI_BROKEN, cuts=CUTS)
def test_broken_calls_add_up_too(server: Server, cuts: tuple[int, ...]) -> None:
    """As they came. Where nothing but their arguments tells one call from the next, broken ones can't be told."""
    clear = server.habits.index == "own" or all(call.id for call in server.reply.calls)
    assume(clear and (server.habits.names == "first" or server.habits.index == "own"))
    agrees(server, cuts)


@settings(deadline=None, max_examples=some_of(200))
@given(server=OLLAMA, cuts=CUTS)
def test_a_stream_of_ollamas_dialect_adds_up(server: Server, cuts: tuple[int, ...]) -> None:
    """Also as server-sent events, and with a last message that says everything again."""
    assume(not server.reply.refusal)
    agrees(server, cuts)


@settings(deadline=None, max_examples=some_of(200))
@given(server=ANTHROPIC, cuts=CUTS)
def test_a_stream_of_anthropics_dialect_adds_up(server: Server, cuts: tuple[int, ...]) -> None:
    """Also without an index, and with one for all blocks."""
    assume(not server.reply.refusal and server.lines.done != "[DONE]")
    agrees(server, cuts)


@settings(deadline=None)
@given(data=st.binary(max_size=60) | st.text('data: {}[]\r\n:ev"1,', max_size=60).map(str.encode), cuts=CUTS)
def test_lines_do_not_depend_on_how_bytes_arrive(data: bytes, cuts: tuple[int, ...]) -> None:
    """Whatever the line ends; and they are those of the standard."""
    lines = LineSplitter()
    found = [bytes(line) for piece in cut(data, cuts) for line in lines.feed(piece)]
    assert [*found, bytes(lines.end())] == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
