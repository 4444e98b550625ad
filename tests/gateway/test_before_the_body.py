"""A gateway with keys checks who asks before it keeps any of a body."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from selfopt.gateway import WebLimits
from selfopt.home import ChainedFile, KeyFile

from .kit import chat, gateway_world, until

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LIMITS = WebLimits(max_body_bytes=2_000_000, max_held_bytes=3_000_000)


def with_key(tmp_path: Path) -> bytes:
    """Add the home's first key, which makes keys required; return its header."""
    home = tmp_path / "home"
    home.mkdir()
    key, _ = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("somebody")
    return b"Authorization: Bearer %s\r\n" % key.encode()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD, b"401"),
        (HEAD + b"Authorization: Bearer sk-wrong\r\n", b"401"),
        (HEAD.replace(b"completions", b"others"), b"404"),
        (HEAD.replace(b"POST", b"PUT"), b"405"),
        (HEAD.replace(b"application/json", b"text/plain"), b"415"),
        (HEAD + b"Origin: http://localhost\r\n", b"403"),
    ],
)
@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1900000\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 9000000000\r\n"]
)
async def test_a_refused_request_is_answered_at_its_head(tmp_path: Path, head: bytes, status: bytes, framing: bytes) -> None:
    """The answer does not wait for the body, and none of the body is held."""
    key = with_key(tmp_path)
    async with gateway_world(tmp_path, options={"web": LIMITS}) as world:
        own = b"" if status == b"401" else key
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(head + own + framing + b"\r\n")
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
        assert b"connection: close" in answer.lower()
        writer.write(b"x" * 500_000)
        await asyncio.wait_for(reader.read(), 120)
        assert world.gateway.server is not None
        assert world.gateway.server.held.used == 0
        writer.close()


async def test_a_key_in_a_trailer_opens_no_door(tmp_path: Path) -> None:
    """Trailers are ignored."""
    key = with_key(tmp_path)
    async with gateway_world(tmp_path) as world:
        body = json.dumps(chat()).encode()
        sent = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
        answer = await world.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + sent + key + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 401")
        known = HEAD + key + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        answer = await world.raw(known + sent + b"X-Selfopt-Phase: neither\r\nX-Selfopt-Variant: off\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert len(world.upstream.journal) == 1


async def test_bodies_share_what_there_is_and_small_requests_are_served(tmp_path: Path) -> None:
    """Unfinished uploads fill the room; dropped ones give it back."""
    async with gateway_world(tmp_path, options={"web": replace(LIMITS, max_held_bytes=2_500_000)}) as world:
        assert world.gateway.server is not None
        held = world.gateway.server.held
        head = HEAD + b"Content-Length: 1900000\r\n\r\n"
        writers = []
        for _ in range(4):
            _, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.write(head + b" " * 900_000)
            writers.append(writer)
        await until(lambda: held.used > 1_800_000)
        assert held.used <= 2_500_000
        assert (await world.post(chat())).status == 200
        for writer in writers:
            writer.transport.abort()
        await until(lambda: held.used == 0)
        big = chat()
        big["user"] = "x" * 900_000
        assert (await world.post(big)).status == 200
        assert held.used == 0
