"""Where no variant serves, a stream reaches the client in the form that clients expect, whatever the habits of the server."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from selfopt.errors import EndpointError
from selfopt.gateway.joined import JoinedAnswer
from selfopt.gateway.offered import OfferedTools
from selfopt.gateway.watched_stream import WatchedStream
from selfopt.gateway.whole_answer import with_calls
from selfopt.records import ToolDefinition
from tests.dialects.wild import CUTS, OPENAI, OPENAI_BROKEN, Habits, Lines, Server, cut
from tests.examples import some_of

TOOLS = tuple(
    ToolDefinition(name=name, parameters={"type": "object", "properties": {"city": {}, "q": {}}})
    for name in ("get_weather", "play")
)
OFFERED = OfferedTools(TOOLS, "unknown", required=False, parallel=True)
DONE = b"data: [DONE]\n\n"


def values_of(data: bytes) -> list[dict[str, Any]]:
    """The JSON of events, as a client finds them that knows the standard and nothing else."""
    lines = data.decode("utf-8", "surrogatepass").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    values, said = [], list[str]()
    for line in lines:
        if line.startswith("data:"):
            said.append(line[5:].removeprefix(" "))
        elif not line and said:
            if (text := "\n".join(said)) != "[DONE]":
                values.append(json.loads(text))
            said = []
    assert not said
    return values


def added_up(data: bytes) -> dict[int, dict[str, Any]]:
    """The choices that the pieces add up to. Calls go by their index, and names and ids are added like any text."""
    found: dict[int, dict[str, Any]] = {}
    for value in values_of(data):
        for choice in value["choices"]:
            own = found.setdefault(
                choice["index"], {"content": "", "reasoning_content": "", "refusal": "", "calls": {}, "finish": ""}
            )
            for key, piece in choice["delta"].items():
                if key in ("content", "reasoning_content", "refusal"):
                    own[key] += piece or ""
            for call in choice["delta"].get("tool_calls") or ():
                known = own["calls"].setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                known["id"] += call.get("id") or ""
                known["name"] += call["function"].get("name") or ""
                known["arguments"] += call["function"].get("arguments") or ""
            own["finish"] = choice["finish_reason"] or own["finish"]
    return found


def passed_on(server: Server, cuts: tuple[int, ...]) -> tuple[bytes, WatchedStream]:
    """What a client gets of a stream."""
    watch = WatchedStream(OFFERED, "call_1", lambda: 0.0)
    out = b"".join([watch.feed(data) for data in cut(server.stream(), cuts)])
    return out + asyncio.run(watch.end()), watch


def agrees(server: Server, cuts: tuple[int, ...]) -> tuple[list[tuple[str, Any]], WatchedStream]:
    """The stream says what the whole answer says; returns its calls."""
    data, watch = passed_on(server, cuts)
    answer = asyncio.run(with_calls(json.dumps(server.whole()).encode(), OFFERED, "call_1"))
    assert answer is not None
    whole = {one["index"]: one["message"] for one in json.loads(answer.body)["choices"]}
    got = added_up(data)
    assert got.keys() == whole.keys()
    for key in ("content", "reasoning_content", "refusal"):
        assert got[0][key] == (whole[0].get(key) or "")
    told = [(call["function"]["name"], loose(call["function"]["arguments"])) for call in whole[0].get("tool_calls") or ()]
    calls = dict(sorted(got[0]["calls"].items()))
    assert [*calls] == [*range(len(calls))]
    ids = [call["id"] for call in calls.values()]
    assert len(set(ids) - {""}) == len([one for one in ids if one])
    assert [(call["name"], loose(call["arguments"])) for call in calls.values()] == told
    return told, watch


def loose(arguments: str) -> Any:
    """Arguments by their meaning, where they have one."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


@settings(deadline=None, max_examples=some_of(400))
@given(server=OPENAI, cuts=CUTS)
def test_a_stream_that_no_variant_serves_adds_up_for_a_plain_client(server: Server, cuts: tuple[int, ...]) -> None:
    """Text, thinking, refusal and every call with its id, once."""
    told, _ = agrees(server, cuts)
    assert told == [(call.name, call.arguments) for call in server.reply.calls]


@settings(deadline=None, max_examples=some_of(200))
@given(server=OPENAI_BROKEN, cuts=CUTS)
def test_broken_calls_are_mended_or_pass_there_too(server: Server, cuts: tuple[int, ...]) -> None:
    """Where nothing but their arguments tells one call from the next, broken ones can't be told."""
    clear = server.habits.index == "own" or all(call.id for call in server.reply.calls)
    assume(clear and (server.habits.names == "first" or server.habits.index == "own"))
    agrees(server, cuts)


def test_a_stream_that_breaks_off_hands_over_the_call_that_waits() -> None:
    """One whose arguments came as an object, and one in the older field."""
    call = {"name": "get_weather", "arguments": {"city": "Oslo"}}
    for said in ({"tool_calls": [{"function": call}]}, {"function_call": call}):
        watch = WatchedStream(OFFERED, "call_1", lambda: 0.0)
        out = watch.feed(b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": said, "finish_reason": None}]}).encode())
        calls = added_up(out + watch.broken_off())[0]["calls"]
        assert calls == {0: {"id": "call_1_0", "name": "get_weather", "arguments": '{"city": "Oslo"}'}}


@pytest.mark.parametrize(("arguments", "calls"), [({}, ["{}"]), ("", [])])
def test_an_object_without_a_key_in_the_older_field_has_come_whole_where_the_limit_ended_the_reply(
    arguments: Any, calls: list[str]
) -> None:
    """Arguments that had not begun are not known, and no client may run the tool without them."""
    said = {"function_call": {"name": "get_weather", "arguments": arguments}}
    watch = WatchedStream(OFFERED, "call_1", lambda: 0.0)
    out = watch.feed(b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": said, "finish_reason": None}]}).encode())
    out += watch.feed(b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}).encode())
    got = added_up(out + asyncio.run(watch.end()))[0]["calls"].values()
    assert [call["arguments"] for call in got] == calls


_LEAF = st.none() | st.sampled_from([0, 1, -1, 10**30, "", "a", "get_weather", "{}", '{"city": "a"}', '{"city', "stop", True])
_KEYS = st.sampled_from(["index", "id", "type", "function", "name", "arguments", "content", "text", "tool_calls", "0"])
_ANY = st.recursive(_LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=8)
_FUNCTION = st.fixed_dictionaries({}, optional={"name": _LEAF, "arguments": _LEAF | st.dictionaries(_KEYS, _LEAF, max_size=2)})
_CALL = st.fixed_dictionaries({}, optional={"index": _LEAF, "id": _LEAF, "function": _FUNCTION | _ANY, "type": _LEAF})
_SAID = st.fixed_dictionaries(
    {}, optional={"content": _ANY, "tool_calls": st.lists(_CALL, max_size=3) | _ANY, "function_call": _ANY}
)
_ODD = st.fixed_dictionaries(
    {"index": st.sampled_from([0, 0, 1, None, 10**30])},
    optional={"delta": _SAID | _ANY, "message": _SAID | _ANY, "finish_reason": st.sampled_from([None, "stop", "length", 5])},
)


@settings(deadline=None, max_examples=some_of(200))
@given(st.lists(st.lists(_ODD, max_size=2) | _ANY, max_size=5), st.booleans(), st.booleans())
def test_nothing_that_a_server_sends_raises(choices: list[Any], bare: bool, broken: bool) -> None:
    """Whatever stands where a reply should."""
    form = b"%s\n" if bare else b"data: %s\n\n"
    data = b"".join(form % json.dumps({"id": "x", "choices": one}).encode() for one in choices)
    watch = WatchedStream(OFFERED, "call_1", lambda: 0.0)
    out = watch.feed(data)
    out += watch.broken_off() if broken else asyncio.run(watch.end())
    assert bool(out) == bool(data)
    joined = JoinedAnswer()
    with suppress(EndpointError):
        joined.take(data)
        joined.whole()


LAWFUL = st.builds(
    lambda server, split, head, together: Server(
        server.reply, Habits(split=split, head=head, together=together, others=server.habits.others), Lines(
            space=server.lines.space, fields=server.lines.fields, comments=server.lines.comments, ends=server.lines.ends[:1]
        )
    ),
    OPENAI,
    st.sampled_from([0, 1, 3, 50]),
    st.booleans(),
    st.booleans(),
)  # fmt: skip


@settings(deadline=None, max_examples=some_of(200))
@given(server=LAWFUL, cuts=CUTS)
def test_a_lawful_stream_passes_byte_for_byte(server: Server, cuts: tuple[int, ...]) -> None:
    """With whatever fields and comments its events have."""
    data, watch = passed_on(server, cuts)
    assert sorted(data.splitlines()) == sorted(server.stream().splitlines())
    if not server.lines.comments:  # which never wait
        assert data == server.stream()
    assert (watch.mended, watch.reframed) == (0, False)
