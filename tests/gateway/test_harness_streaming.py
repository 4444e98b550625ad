"""Through a variant, too, text flows on as it comes; what may be a call goes out when it is certain what it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .kit import World, chat, gateway_world, until
from .servers import SSE_HEAD, chunk, event, raw_upstream
from .test_harness import CALL, PLAY, WEATHER, promote

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
    """(text, calls, reason) as a client puts them together."""
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
    """Also what stands before something in braces, which is held until it is known to be no call."""
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
    """Before anything went out it is asked again."""
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
    """Its connection is closed; who was asked instead of whom is in the trail, and the record is complete."""
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
        await asyncio.wait_for(gone.wait(), 10)
        await until(lambda: bool(world.records))
        record = world.records[0]
        assert (record.outcome, record.status, record.served, record.variant) == ("cancelled", 200, "raw/m", "native_parsed")
        assert [attempt.fault for attempt in record.attempts] == ["broken_off"]
        assert (world.trail[-1].event, world.trail[-1].details["request_id"]) == ("diverted", record.id)


async def test_a_pause_in_mid_stream_is_limited_like_the_first_byte(tmp_path: Path) -> None:
    """And told as such."""
    hold = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event(LONG))
        await hold.wait()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry(url), options={"timeout_s": 0.3}) as world:
        await promote(world, "native_parsed", "raw/m")
        with pytest.raises(Exception, match="payload"):
            async with world.session.post(f"{world.url}/chat/completions", json=asking()) as response:
                await response.content.read()
        hold.set()
        assert world.records[-1].reason == "upstream_timeout"


WORDS = st.text("abc {}[]<>()`\"',:\n", max_size=40)
REPLIES = st.one_of(
    WORDS,
    st.tuples(WORDS, st.sampled_from([CALL, '{"name": "play", "arguments": {}}', "none", "[]"]), WORDS).map("".join),
    st.just(LONG + CALL),
)


async def both(world: World, body: dict[str, Any]) -> tuple[Any, Any]:
    whole = (await world.post({**body, "stream": False})).body
    streamed = events_of((await world.post({**body, "stream_options": {"include_usage": True}})).text)
    return whole, streamed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reply=REPLIES, variant=st.sampled_from(["native_parsed", "few_shot_constrained", "native_api"]))
async def test_a_stream_says_what_the_answer_in_one_piece_says(tmp_path: Path, reply: str, variant: str) -> None:
    """The same calls, the same reason, the same figures; the same text where there is no call."""
    async with gateway_world(tmp_path, {"any": {"default": {"text": reply}}}) as world:
        await promote(world, variant, "up/any")
        whole, streamed = await both(world, asking(model="up/any"))
        (choice,) = whole["choices"]
        text, calls, reason = joined(streamed)
        assert reason == choice["finish_reason"]
        assert calls == [
            (call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in choice["message"].get("tool_calls", ())
        ]
        assert streamed[-1]["usage"] == whole["usage"]
        if not calls:
            assert text.strip() == (choice["message"]["content"] or "").strip()
