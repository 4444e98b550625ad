"""No key or address of a server reaches a client, on any path."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.variants import get_variant

from .kit import World, chat, gateway_world
from .servers import SSE_HEAD, Talk, chunk, raw_upstream, whole
from .test_harness import WEATHER, promote

KEY = "sk-planted/0123456789"
ESCAPED = "".join(f"\\u{ord(c):04x}" for c in KEY)
PERCENT = "".join(f"%{ord(c):02X}" for c in KEY)
REPLY = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"TEXT"},"finish_reason":"stop"}]}'
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"TEXT"},"finish_reason":null}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _always(answer: bytes, *later: bytes) -> Talk:
    """Answer everybody the same, in two parts."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (answer, *later):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()

    return talk


def _settings(url: str) -> str:
    kinds = {"up2": "openai_compatible", "anth": "anthropic", "olla": "ollama"}
    entries = [f'[endpoints.{n}]\nkind = "{k}"\nbase_url = "{url}"\napi_key = "{KEY}"\nlocal = true\n' for n, k in kinds.items()]
    return "[limits]\nretries = 0\n" + "".join(entries)


async def _seen(tmp_path: Path, talk: Talk, body: dict[str, Any], *, variant: bool = False) -> tuple[str, World]:
    """Return every byte that a client gets from a gateway that is closed afterwards."""
    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=_settings(url)) as world:
        if variant:
            await promote(world, get_variant("native_parsed"), model=body["model"])
        data = json.dumps(body).encode()
        head = b"POST /v1/chat/completions HTTP/1.0\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        got = (await world.raw(head % (world.port, len(data)) + data)).decode("utf-8", "replace")
        where = url.removeprefix("http://").removesuffix("/v1")
        assert KEY not in got
        assert ESCAPED not in got
        assert PERCENT not in got
        assert where not in got, got
        assert where not in "".join(record.reason for record in world.records)
        return got, world


@pytest.mark.parametrize("spelled", [KEY, ESCAPED, PERCENT, KEY.replace("/", "\\/")])
@pytest.mark.parametrize("variant", [False, True])
async def test_a_key_in_a_whole_answer(tmp_path: Path, spelled: str, variant: bool) -> None:
    """Passed on, and through a variant."""
    talk = _always(whole(REPLY.replace(b"TEXT", f"it is {spelled} today".encode())))
    got, _ = await _seen(tmp_path, talk, chat("up2/m", tools=[WEATHER]), variant=variant)
    assert "it is [key] today" in got


@pytest.mark.parametrize("spelled", [KEY, ESCAPED, PERCENT])
@pytest.mark.parametrize("variant", [False, True])
async def test_a_key_in_two_segments_of_a_stream(tmp_path: Path, spelled: str, variant: bool) -> None:
    """The cut is within the key; the text around it is sent."""
    data = PIECE.replace(b"TEXT", f"it is {spelled} today".encode())
    middle = data.index(spelled.encode()) + len(spelled) // 2
    talk = _always(SSE_HEAD + chunk(data[:middle]), chunk(data[middle:]), chunk(END) + b"0\r\n\r\n")
    got, _ = await _seen(tmp_path, talk, chat("up2/m", stream=True, tools=[WEATHER]), variant=variant)
    assert "it is [key] today" in got
    assert "[DONE]" in got


@pytest.mark.parametrize("size", [4, 9])
async def test_a_key_over_several_pieces_of_a_stream_that_is_passed_on(tmp_path: Path, size: int) -> None:
    """A few characters an event, as models write."""
    said = f"it is {KEY} today"
    pieces = [PIECE.replace(b"TEXT", said[at : at + size].encode()) for at in range(0, len(said), size)]
    talk = _always(SSE_HEAD + chunk(pieces[0]), *(chunk(piece) for piece in pieces[1:]), chunk(END), b"0\r\n\r\n")
    got, _ = await _seen(tmp_path, talk, chat("up2/m", stream=True))
    events = [json.loads(line[6:]) for line in got.splitlines() if line.startswith("data: {")]
    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text in {f"it is {beginning}[key] today" for beginning in ("", KEY[:1], KEY[:2])}


async def test_a_key_over_several_pieces_of_a_stream_through_a_variant(tmp_path: Path) -> None:
    """Neither the pieces nor the whole text hold the key."""
    pieces = [chunk(PIECE.replace(b"TEXT", KEY[at : at + 6].encode())) for at in range(0, len(KEY), 6)]
    talk = _always(SSE_HEAD, *pieces, chunk(END) + b"0\r\n\r\n")
    got, _ = await _seen(tmp_path, talk, chat("up2/m", stream=True, tools=[WEATHER]), variant=True)
    said = [json.loads(line[5:]) for line in got.splitlines() if line.startswith("data: {")]
    assert "".join(piece["choices"][0]["delta"].get("content") or "" for piece in said) == "[key]"


@pytest.mark.parametrize("variant", [False, True])
async def test_an_error_within_a_stream(tmp_path: Path, variant: bool) -> None:
    """The client gets the server's words without its key and address."""
    error = json.dumps({"error": {"message": f"refused {KEY}", "type": "x"}}).encode()
    first = PIECE.replace(b"TEXT", b"a text that is long enough to be one")
    talk = _always(SSE_HEAD + chunk(first), chunk(b"data: %s\n\n" % error) + b"0\r\n\r\n")
    got, _ = await _seen(tmp_path, talk, chat("up2/m", stream=True, tools=[WEATHER]), variant=variant)
    assert "refused [key]" in got
    assert "long enough" in got


@pytest.mark.parametrize("model", ["up2/m", "anth/m", "olla/m"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found", b"500 Oops", b"401 No", b"307 Moved"])
async def test_errors_of_every_status_and_dialect(tmp_path: Path, model: str, streamed: bool, status: bytes) -> None:
    """The client reads the endpoint's name, but no URL, port or key."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("sockname")[:2]
        said = {"error": {"message": f"{KEY} is wrong for http://{host}:{port}/v1, says {host}:{port}", "code": ESCAPED}}
        lines = (b"Location: http://other.example/?k=" + KEY.encode(), b"Connection: close")
        writer.write(whole(json.dumps(said).encode(), status, *lines))
        writer.close()

    got, _ = await _seen(tmp_path, talk, chat(model, stream=streamed))
    assert "other.example" not in got
    assert "error" in got


@pytest.mark.parametrize("model", ["up2/m", "anth/m", "olla/m"])
async def test_a_stream_that_breaks_names_no_address(tmp_path: Path, model: str) -> None:
    """Nor does an endpoint where nothing listens."""
    talk = _always(SSE_HEAD + chunk(b"rubbish that is no event\n"))
    await _seen(tmp_path, talk, chat(model, stream=True, tools=[WEATHER]), variant=model == "up2/m")


async def test_a_key_in_a_header_that_is_passed_on(tmp_path: Path) -> None:
    """The content type is the server's own text."""
    answer = whole(REPLY).replace(b"application/json", b"application/json; k=" + KEY.encode())
    got, _ = await _seen(tmp_path, _always(answer), chat("up2/m"))
    assert "content-type: application/json; k=[key]" in got.lower()


@pytest.mark.parametrize("coding", ["br", "gzip"])
async def test_an_answer_that_cannot_be_decompressed_is_refused(tmp_path: Path, coding: str) -> None:
    """A key in it would stay hidden, and not every client could read it."""
    line = f"Content-Encoding: {coding}".encode()
    got, _ = await _seen(tmp_path, _always(whole(b"\x1f\x8b" + bytes(50), b"200 OK", line)), chat("up2/m"))
    assert "502" in got
    assert ("not asked for" if coding == "br" else "cannot be read") in got


@pytest.mark.parametrize("variant", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_in_a_compressed_answer(tmp_path: Path, stream: bool, variant: bool) -> None:
    """It is decompressed, so that the key is found."""
    said = (PIECE + END if stream else REPLY).replace(b"TEXT", b"the key is " + KEY.encode())
    answer = whole(gzip.compress(said), b"200 OK", b"Content-Encoding: gzip")
    if stream:
        answer = answer.replace(b"application/json", b"text/event-stream")
    got, _ = await _seen(tmp_path, _always(answer), chat("up2/m", stream=stream, tools=[WEATHER]), variant=variant)
    assert "the key is [key]" in got
    assert "content-encoding" not in got.lower()


@pytest.mark.parametrize("variant", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_few_bytes_that_stand_for_very_many_are_refused(tmp_path: Path, stream: bool, variant: bool) -> None:
    """At the limit of a reply, before they are all there."""
    answer = whole(gzip.compress(b" " * 80_000_000), b"200 OK", b"Content-Encoding: gzip")
    got, _ = await _seen(tmp_path, _always(answer), chat("up2/m", stream=stream, tools=[WEATHER]), variant=variant)
    assert "larger than" in got


@pytest.mark.parametrize("stream", [False, True])
async def test_a_secret_of_the_endpoints_own_fields(tmp_path: Path, stream: bool) -> None:
    """A server may repeat what `extra_body` told it, whole or over several pieces."""
    pieces = [PIECE.replace(b"TEXT", KEY[at : at + 5].encode()) for at in range(0, len(KEY), 5)]
    talk = (
        _always(SSE_HEAD, *map(chunk, pieces), chunk(END), chunk(b""))
        if stream
        else _always(whole(REPLY.replace(b"TEXT", KEY.encode())))
    )
    async with raw_upstream(talk) as url:
        entry = f'[endpoints.own]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\nextra_body = {{access_token = "{KEY}"}}\n'
        async with gateway_world(tmp_path, settings=entry) as world:
            answer = await world.post(chat("own/m", stream=stream))
            assert answer.status == 200
            said = answer.text
            if stream:
                said = "".join(
                    json.loads(line[6:])["choices"][0]["delta"].get("content", "")
                    for line in said.split("\n\n")
                    if line.startswith("data: {")
                )
            assert KEY[3:] not in said
            assert "[key]" in said
