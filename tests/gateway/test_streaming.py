"""Streams are passed on as they come; one that the server breaks off ends visibly."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.looptime import pass_time

from .kit import USER, chat, gateway_world, until
from .servers import SSE_HEAD, chunk, event, raw_upstream, whole


def entry(name: str, url: str) -> str:
    return f'[endpoints.{name}]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\n'


async def test_a_stream_is_passed_on_unchanged(tmp_path: Path) -> None:
    """The events are the same, and the token counts are noted."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(chat(stream=True, stream_options={"include_usage": True}))
        async with world.session.post(
            f"{world.upstream.base_url}/v1/chat/completions",
            json={"model": "good", "messages": USER, "stream": True, "stream_options": {"include_usage": True}},
            headers={"Authorization": "Bearer sk-upstream-0123456789"},
        ) as direct:
            assert answer.text.replace("chatcmpl-0", "chatcmpl-1") == (await direct.text()).replace("chatcmpl-0", "chatcmpl-1")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-selfopt-model"] == "up/good"
        (record,) = world.records
        assert (record.outcome, record.stream, record.output_tokens) == ("served", True, 2)
        assert record.first_byte_ms is not None


async def test_the_official_client_streams(tmp_path: Path) -> None:
    """It gets all pieces in order, then the end."""
    async with gateway_world(tmp_path) as world, openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
        stream = await client.chat.completions.create(model="up/good", messages=[{"role": "user", "content": "hi"}], stream=True)
        text = [piece.choices[0].delta.content or "" async for piece in stream if piece.choices]
        assert "".join(text) == "Hello."


async def test_a_piece_is_passed_on_before_the_next_one_comes(tmp_path: Path) -> None:
    """Nothing is held back."""
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("one"))
        await go_on.wait()
        writer.write(event("two") + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async with (
        raw_upstream(talk) as url,
        gateway_world(tmp_path, settings=entry("raw", url)) as world,
        world.session.post(f"{world.url}/chat/completions", json=chat("raw/m", stream=True)) as response,
    ):
        assert b'"one"' in await response.content.readany()
        go_on.set()
        assert (await response.content.read()).endswith(b"data: [DONE]\n\n")


async def test_a_stream_that_ends_too_early_is_told_and_broken_off(tmp_path: Path) -> None:
    """The client gets an error event and no proper end."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("one"))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        raw = await world.raw(_post(chat("raw/m", stream=True)))
        assert b'"one"' in raw
        assert b'data: {"error":{"message":"endpoint raw: the connection was closed in mid-reply"' in raw
        assert not raw.endswith(b"0\r\n\r\n")
        assert world.records[-1].outcome == "failed"
        assert world.records[-1].reason == "upstream_protocol"
        async with openai.AsyncOpenAI(base_url=world.url, api_key="unused", max_retries=0) as client:
            stream = await client.chat.completions.create(model="raw/m", messages=[{"role": "user", "content": "x"}], stream=True)
            with pytest.raises(openai.APIError, match="closed in mid-reply"):
                [piece async for piece in stream]


async def test_a_client_that_leaves_in_mid_stream_cancels_the_upstream(tmp_path: Path) -> None:
    """The server's connection closes, and the record is complete."""
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("one"))
        assert await reader.read() == b""
        gone.set()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(_post(chat("raw/m", stream=True)))
        await reader.readuntil(b'"one"')
        writer.close()
        await asyncio.wait_for(gone.wait(), 120)
        await until(lambda: bool(world.records))
        assert (world.records[0].outcome, world.records[0].status) == ("cancelled", 200)
        assert [a.fault for a in world.records[0].attempts] == ["broken_off"]


async def test_a_client_that_leaves_with_the_last_event_was_served(tmp_path: Path) -> None:
    """Official clients do, and a server may take its time to end the stream. The tokens are counted."""
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        usage = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
        writer.write(SSE_HEAD + event("one") + chunk(usage) + chunk(b"data: [DONE]\n\n"))
        assert await reader.read() == b""
        gone.set()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(_post(chat("raw/m", stream=True)))
        await reader.readuntil(b"[DONE]")
        writer.close()
        await asyncio.wait_for(gone.wait(), 120)
        await until(lambda: bool(world.records))
        (record,) = world.records
        assert (record.outcome, record.status, record.reason) == ("served", 200, "")
        assert ([one.fault for one in record.attempts], record.input_tokens, record.output_tokens) == ([""], 7, 3)


async def test_a_client_that_leaves_before_an_answer_cancels_the_upstream(tmp_path: Path) -> None:
    """Even when nothing was sent yet."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        assert await reader.read() == b""
        gone.set()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        _, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(_post(chat("raw/m")))
        await asyncio.wait_for(asked.wait(), 120)
        writer.close()
        await asyncio.wait_for(gone.wait(), 120)
        await until(lambda: bool(world.records))
        assert world.records[0].outcome == "cancelled"


def joined(body: bytes) -> bytes:
    """The body without the sizes of its chunks, which may stand anywhere within an event."""
    parts, at = [], 0
    while at < len(body):
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        parts.append(body[end + 2 : end + 2 + size])
        at = end + 4 + size
    return b"".join(parts)


async def test_a_client_that_reads_slowly_slows_the_upstream(tmp_path: Path) -> None:
    """Memory stays bounded, and nothing is lost."""
    pieces = 2000
    big = "x" * 16_000
    written = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(SSE_HEAD)
        for _ in range(pieces):
            writer.write(event(big))
            await writer.drain()
            written += 1
        writer.write(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=65_536)
        writer.write(_post(chat("raw/m", stream=True)))
        await reader.readuntil(b"\r\n\r\n")
        assert world.gateway.server is not None
        (connection,) = world.gateway.server.connections
        await until(lambda: connection.stuck)
        assert written < pieces
        body = bytearray()
        while not body.endswith(b"0\r\n\r\n"):
            body += await reader.read(65_536)
        writer.close()
        assert joined(bytes(body)).count(b'"content":"x') == pieces
        assert written == pieces


async def test_a_client_of_http_1_0_gets_its_stream_until_the_end(tmp_path: Path) -> None:
    """Without chunks; it ends with the connection."""
    async with gateway_world(tmp_path) as world:
        raw = await world.raw(_post(chat(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        head, _, body = raw.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body.endswith(b"data: [DONE]\n\n")


async def test_a_stream_that_is_refused_is_answered_as_an_error(tmp_path: Path) -> None:
    """With a status instead of a stream."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b'{"error":{"message":"no such field","type":"x","param":null,"code":null}}', b"400 Bad Request"))
        await writer.drain()

    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry("raw", url)) as world:
        answer = await world.post(chat("raw/m", stream=True))
        assert (answer.status, answer.error["message"]) == (400, "no such field")
        assert world.records[-1].outcome == "rejected"


@pytest.mark.own_time
async def test_a_stream_that_pauses_too_long_is_broken_off(tmp_path: Path) -> None:
    """The timeout bounds each pause, not the whole stream."""
    waits: asyncio.Queue[None] = asyncio.Queue()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE_HEAD + event("one"))
        await waits.get()

    async with (
        raw_upstream(talk) as url,
        gateway_world(tmp_path, settings=entry("raw", url), options={"timeout_s": 60, "retries": 0}) as world,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(_post(chat("raw/m", stream=True)))
        await reader.readuntil(b"one")
        pass_time(60)
        assert b"nothing came for 60 s" in await reader.read()
        writer.close()
        assert world.records[-1].reason == "upstream_timeout"


def _post(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    return head % len(data) + data
