"""Through a variant, text is streamed as it comes, and a call as soon as it is certain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.records import Variant
from tests.looptime import pass_time

from .kit import World, chat, gateway_world, until
from .servers import SSE_HEAD, Said, chunk, delta, event, raw_upstream, whole
from .test_harness import BOTH, CALL, MODELS, PLAY, WEATHER, promote

LONG = "This is a sentence that no word for no call begins. "
DONE = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def entry(url: str) -> str:
    return f'[endpoints.raw]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\n'


def asking(text: str = "hi", model: str = "raw/m", **fields: Any) -> dict[str, Any]:
    return chat(model, messages=[{"role": "user", "content": text}], **{"tools": [WEATHER, PLAY], "stream": True, **fields})


def events_of(raw: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in raw.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def joined(events: Sequence[Any]) -> tuple[str, list[tuple[str, Any]], str]:
    """Return text, calls and finish reason as a client puts them together."""
    text, calls, reason = "", dict[int, list[str]](), ""
    for one in events:
        for choice in one["choices"]:
            text += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", ()):
                known = calls.setdefault(call["index"], ["", ""])
                known[0] += call["function"].get("name", "")
                known[1] += call["function"]["arguments"]
            reason = choice["finish_reason"] or reason
    return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], reason


async def test_text_is_with_the_client_before_the_model_has_ended(tmp_path: Path) -> None:
    """Text that could begin a call is held until it is clear."""
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event(LONG) + event("More {braces"))
        await go_on.wait()
        writer.write(event("} and an end.") + DONE)
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "native_parsed", "raw/m")
        async with world.session.post(f"{world.url}/chat/completions", json=asking()) as response:
            first = b""
            while b"More" not in first:
                first += await response.content.readany()
            assert b"braces" not in first
            go_on.set()
            rest = await response.content.read()
        events = events_of((first + rest).decode())
        assert joined(events) == (f"{LONG}More {{braces}} and an end.", [], "stop")
        assert response.headers["x-selfopt-variant"] == "native_parsed"
        assert world.records[-1].outcome == "served"


async def test_a_stream_that_fails_after_text_went_out_is_broken_off_and_not_repeated(tmp_path: Path) -> None:
    """Before that, it is retried."""
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            writer.write(SSE_HEAD + event("Short"))
        else:
            writer.write(SSE_HEAD + event(LONG))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url), options={"backoff_s": 0.001}) as world:
        await promote(world, "native_parsed", "raw/m")
        body = json.dumps(asking()).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        raw = await world.raw(head % len(body) + body)
        assert raw.count(LONG.strip().encode()) == 1
        assert b'data: {"error":' in raw
        assert not raw.endswith(b"0\r\n\r\n")
        assert asked == 2
        assert world.records[-1].outcome == "failed"


async def test_a_client_that_leaves_in_mid_stream_cancels_the_model(tmp_path: Path) -> None:
    """The connection closes, and trail and record are complete."""
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event(LONG))
        assert await reader.read() == b""
        gone.set()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "native_parsed", "raw/m")
        world.enforcer.set_rule("up/good", "atomic", allow=False, fallback="raw/m")
        await world.reload()
        body = json.dumps(asking(model="up/good")).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(head % len(body) + body)
        await reader.readuntil(b"This is a sentence")
        writer.close()
        await asyncio.wait_for(gone.wait(), 120)
        await until(lambda: bool(world.records))
        record = world.records[0]
        assert (record.outcome, record.status, record.served, record.variant) == ("cancelled", 200, "raw/m", "native_parsed")
        assert [attempt.fault for attempt in record.attempts] == ["broken_off"]
        assert (world.trail[-1].event, world.trail[-1].details["request_id"]) == ("diverted", record.id)


@pytest.mark.own_time
async def test_a_pause_in_mid_stream_is_limited_like_the_first_byte(tmp_path: Path) -> None:
    """The error names the pause."""
    hold = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event(LONG))
        await hold.wait()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url), options={"timeout_s": 60}) as world:
        await promote(world, "native_parsed", "raw/m")
        async with world.session.post(f"{world.url}/chat/completions", json=asking()) as response:
            await response.content.readuntil(LONG.strip().encode())
            pass_time(60)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()
        hold.set()
        assert world.records[-1].reason == "upstream_timeout"


def own(parsers: tuple[Any, ...], **fields: Any) -> Variant:
    """Return a variant whose calls are read one by one."""
    return Variant(name="own", tools="system_prompt", parsers=parsers, **fields)


NATIVE = [
    delta({"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "get_weather", "arguments": '{"city": '}}]}),
    delta({"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]}),
    delta({"tool_calls": [{"index": 1, "id": "c1", "function": {"name": "play", "arguments": ""}}]}),
]
NATIVE_END = delta({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]})
LISTED = [delta({"content": piece}) for piece in ('[{"name": "get_weather", ', '"arguments": {"city": "Oslo"}}', ", ")]
LISTED_END = delta({"content": '{"name": "play", "arguments": {}}]'})
TAGS = [delta({"content": f"<tool_call>{CALL[8:-4]}</tool_call>\n"})]
TAGS_END = delta({"content": '<tool_call>{"name": "play", "arguments": {}}</tool_call>'})
EARLY: list[Any] = [
    ("native_parsed", NATIVE, NATIVE_END),
    ("native_api", NATIVE, NATIVE_END),
    (own(("json",)), LISTED, LISTED_END),
    (own(("json", "xml"), constraint="json_schema"), LISTED, LISTED_END),
    (own(("xml", "json")), TAGS, TAGS_END),
]


async def read_until(response: aiohttp.ClientResponse, wanted: bytes) -> bytes:
    """Read until this came."""
    got = b""
    while wanted not in got:
        piece = await response.content.readany()
        assert piece, got
        got += piece
    return got


@pytest.mark.parametrize(("variant", "before", "after"), EARLY)
@pytest.mark.parametrize("choice", ["auto", "required"])
async def test_a_call_is_with_the_client_before_the_model_has_ended(
    tmp_path: Path, variant: Any, before: list[bytes], after: bytes, choice: str
) -> None:
    """It is sent as soon as nothing can change it."""
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + b"".join(before))
        await go_on.wait()
        writer.write(after + DONE)
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, variant, "raw/m")
        async with world.session.post(f"{world.url}/chat/completions", json=asking(tool_choice=choice)) as response:
            first = await read_until(response, b"get_weather")
            assert b"play" not in first
            go_on.set()
            rest = await response.content.read()
        events = events_of((first + rest).decode())
        assert joined(events) == ("", [("get_weather", {"city": "Oslo"}), ("play", {})], "tool_calls")
        ids = [call["id"] for one in events for choice in one["choices"] for call in choice["delta"].get("tool_calls", ())]
        assert len(set(ids)) == 2


async def test_of_several_steps_a_call_is_out_when_its_arguments_are_there(tmp_path: Path) -> None:
    """The first call does not wait for the second one's arguments."""
    go_on = asyncio.Event()
    said = iter(["get_weather, play", '{"city": "Oslo"}', "{}"])
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            await go_on.wait()
        message = {"role": "assistant", "content": next(said)}
        body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
        writer.write(whole(body, b"200 OK", b"Connection: close"))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "few_shot_constrained", "raw/m")
        body = asking("Weather in Oslo, and play")
        async with world.session.post(f"{world.url}/chat/completions", json=body) as response:
            first = await read_until(response, b"get_weather")
            go_on.set()
            rest = await response.content.read()
        assert joined(events_of((first + rest).decode()))[1:] == ([("get_weather", {"city": "Oslo"}), ("play", {})], "tool_calls")


async def test_a_server_that_takes_back_a_call_is_broken_off(tmp_path: Path) -> None:
    """The client already has the call, so the answer cannot be completed."""
    late = delta({"tool_calls": [{"index": 0, "function": {"arguments": " and more"}}]})

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + b"".join(NATIVE) + NATIVE_END + late + DONE)
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, "native_api", "raw/m")
        body = json.dumps(asking()).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        raw = await world.raw(head % len(body) + body)
        assert b"changed a call" in raw
        assert b"[DONE]" not in raw
        assert world.records[-1].outcome == "failed"


PLAYED = '{"name": "play", "arguments": {}}'
WORDS = st.text("abc {}[]<>()`\"',:\n", max_size=40)
PIECES = st.sampled_from(
    [CALL, PLAYED, BOTH, "none", "[]", LONG, f"<tool_call>{PLAYED}</tool_call>", '[play()]', "play()", "```json\n", '{"name": "none"}']
)  # fmt: skip
REPLIES = st.one_of(WORDS, st.lists(st.one_of(PIECES, WORDS), max_size=4).map("".join))
NATIVE_CALLS = st.lists(
    st.sampled_from([("play", "{}"), ("get_weather", '{"city": "Oslo"}'), ("launch", "{}"), ("play", "{broken")]), max_size=3
).map(tuple)
VARIANTS: list[Any] = [
    "native_parsed",
    "native_api",
    "few_shot_constrained",
    "restrained",
    "fitted",
    own(("json", "xml", "bracket")),
    own(("xml", "json")),
    own(("json",), constraint="grammar"),
]


async def both(world: World, body: dict[str, Any]) -> tuple[Any, Any]:
    whole = (await world.post({**body, "stream": False})).body
    streamed = events_of((await world.post({**body, "stream_options": {"include_usage": True}})).text)
    return whole, streamed


def same(whole: Any, streamed: Any) -> None:
    """The same text, the same calls under the same ids, the same reason, the same figures."""
    (choice,) = whole["choices"]
    message = choice["message"]
    calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls", ())]
    assert joined(streamed) == (message["content"] or "", calls, choice["finish_reason"])
    assert streamed[-1]["usage"] == whole["usage"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=REPLIES,
    calls=NATIVE_CALLS,
    cuts=st.one_of(st.none(), st.lists(st.integers(0, 200), max_size=8).map(tuple)),
    variant=st.sampled_from(VARIANTS),
    parallel=st.booleans(),
)
async def test_a_stream_says_what_the_answer_in_one_piece_says(
    tmp_path: Path, text: str, calls: Any, cuts: tuple[int, ...] | None, variant: Any, parallel: bool
) -> None:
    """For any reply, however it is cut."""
    said = Said(text, calls if variant in ("native_parsed", "native_api", "fitted") else (), cuts)
    async with raw_upstream(said) as url, gateway_world(tmp_path, settings=entry(url)) as world:
        await promote(world, variant, "raw/m")
        same(*await both(world, asking("Oslo", parallel_tool_calls=parallel)))


@pytest.mark.parametrize("variant", ["native_parsed", "few_shot_constrained", "native_api"])
@pytest.mark.parametrize("text", ["hi", "weather?", "both"])
async def test_the_same_through_a_server_that_decides_by_the_request(tmp_path: Path, variant: str, text: str) -> None:
    """Also with more than one reply."""
    async with gateway_world(tmp_path, MODELS) as world:
        await promote(world, variant)
        same(*await both(world, asking(text, model="up/writer")))
