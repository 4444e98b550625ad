"""Whatever a client sends gets the right status or a closed connection; others are served."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.gateway import WebLimits
from selfopt.gateway.ticket import header_value
from tests.examples import some_of

from .kit import USER, World, chat, gateway_world, until
from .servers import raw_upstream, whole

LIMITS = WebLimits(max_head_bytes=4096, max_headers=20, max_body_bytes=10_000, max_connections=8)


def post(body: bytes, *lines: bytes) -> bytes:
    head = [b"POST /v1/chat/completions HTTP/1.1", b"Host: localhost", b"Content-Type: application/json", *lines]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"Connection: close", b"", b""]) + body


CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


async def assert_well(world: World) -> None:
    answer = await world.post(chat())
    assert answer.status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"null", "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b'{"model":"\xff\xfe"}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"[" * 9000, "invalid_json"),
        (b'{"model":"up/good","messages":[{"role":"user","content":' + b"[" * 70 + b"]" * 70 + b"}]}", "invalid_json"),
        (b"{}", "missing_required_parameter"),
        (json.dumps({"model": 5, "messages": USER}).encode(), "invalid_type"),
        (json.dumps({"model": "", "messages": USER}).encode(), "invalid_value"),
        (json.dumps({"model": "x" * 300, "messages": USER}).encode(), "invalid_value"),
        (json.dumps({"model": "up/good\r\nX-Evil: 1", "messages": USER}).encode(), "invalid_value"),
        (json.dumps({"model": "up/good"}).encode(), "missing_required_parameter"),
        (json.dumps({"model": "up/good", "messages": []}).encode(), "invalid_value"),
        (json.dumps({"model": "up/good", "messages": "hi"}).encode(), "invalid_type"),
        (json.dumps({"model": "up/good", "messages": [{"content": "x"}]}).encode(), "invalid_type"),
        (json.dumps({"model": "up/good", "messages": USER, "tools": {}}).encode(), "invalid_type"),
        (json.dumps({"model": "up/good", "messages": USER, "tools": [{}, []]}).encode(), "invalid_type"),
        (json.dumps({"model": "up/good", "messages": USER, "tools": [{}] * 1000}).encode(), "array_above_max_length"),
        (json.dumps({"model": "up/good", "messages": USER, "stream": "yes"}).encode(), "invalid_type"),
    ],
)
async def test_a_body_that_is_no_chat_is_refused_in_openai_shape(tmp_path: Path, body: bytes, code: str) -> None:
    """400 with a message, and nothing reaches the upstream."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(body)
        assert answer.status == 400, answer.text
        assert answer.error["code"] == code
        assert answer.error["type"] == "invalid_request_error"
        assert list(world.upstream.journal) == []
        assert world.records[-1].outcome == "rejected"
        await assert_well(world)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GARBAGE\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (post(b"{}", b"Transfer-Encoding: chunked"), b"400"),
        (post(b"{}", b"Content-Length: 3"), b"400"),
        (post(b"{}", b"X: " + b"y" * 5000), b"431"),
        (post(b"{}", *(b"X-%d: 1" % i for i in range(30))), b"431"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b"431"),
        (post(b"x" * 20_000), b"413"),
        (CHUNKED + b"4e20\r\n" + b"x" * 20_000 + b"\r\n0\r\n\r\n", b"413"),
        (post(b"{}", b"X-Selfopt-Phase: atomic\x00"), b"400"),
        (post(b"{}", b"X-Selfopt-Phase : atomic"), b"400"),
        (post(b"{}", b"X-Selfopt-Phase: atomic\rX-Evil: 1"), b"400"),
        (post(b"{}", b"X-Selfopt-Phase: atomic", b"X-Selfopt-Phase: extended"), b"400"),
        (post(b"{}", b"Host: evil.example"), b"400"),
        (post(b"{}", b"Authorization: a", b"Authorization: b"), b"400"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
         b"Connection: close\r\n\r\n{}", b"415"),
        (b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.0\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\nConnection: close\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nConnection: close\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nConnection: close\r\n\r\n", b"403"),
        (b"DELETE /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405"),
        (b"GET /etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /v1/models HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n", b"200"),
        (b"GET /v1/models HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n", b"200"),
    ],
)  # fmt: skip
async def test_requests_that_are_no_requests_get_their_status(tmp_path: Path, data: bytes, status: bytes) -> None:
    """The right status in OpenAI's shape; then the connection closes."""
    async with gateway_world(tmp_path, options={"web": LIMITS}) as world:
        answer = await world.raw(data)
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        if status != b"200":
            assert set(body["error"]) == {"message", "type", "param", "code"}
        await assert_well(world)


@given(st.text() | st.text(st.characters(max_codepoint=127)))
def test_no_name_ends_its_header(name: str) -> None:
    """Every name becomes one line of ASCII from which it can be read back."""
    value = header_value(name)
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert unquote_to_bytes(value) == name.encode("utf-8", "replace")


async def test_a_name_in_a_request_makes_no_header(tmp_path: Path) -> None:
    """A model's name in a header cannot add another, even in an error."""
    async with gateway_world(tmp_path) as world:
        answer = await world.post(chat("up/ö%0d%0aX-Evil: 1"))
        assert answer.status == 404
        assert answer.headers["x-selfopt-model"] == "up/%c3%b6%250d%250aX-Evil:%201"
        assert "x-evil" not in answer.headers


@pytest.mark.parametrize("line", [b"Content-Encoding: a\rX-Evil: 1", b"Content-Encoding: a\x00b", b"Content-Encoding: a\n b"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_behind_cannot_write_headers_of_its_own(tmp_path: Path, line: bytes, stream: bool) -> None:
    """An invalid header is an error, or stays within its line."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b"{}", b"200 OK", line, b"X-Evil: 1"))
        await writer.drain()

    entry = '[endpoints.raw]\nkind = "openai_compatible"\nbase_url = "{}"\nlocal = true\n'
    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry.format(url), options={"retries": 0}) as world:
        raw = await world.raw(post(json.dumps(chat("raw/m", stream=stream)).encode()))
        head = raw.partition(b"\r\n\r\n")[0]
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 502"))
        assert not any(each.lower().startswith(b"x-evil") for each in re.split(rb"[\r\n]+", head))
        assert all(byte >= 0x20 for each in head.split(b"\r\n") for byte in each)
        await assert_well(world)


async def test_a_slow_request_is_given_up(tmp_path: Path) -> None:
    """408 for a slow head or body; a silent connection is closed."""
    async with gateway_world(tmp_path, options={"web": replace(LIMITS, read_timeout_s=5.0)}) as world:
        assert world.gateway.server is not None
        server = world.gateway.server
        for data in (b"POST /v1/chat", post(b"x" * 100)[:-50]):
            server_time = await _after(world, data)
            assert server_time.startswith(b"HTTP/1.1 408")
        await assert_well(world)
        assert server.closing is False


async def _after(world: World, data: bytes) -> bytes:
    """Sweep as if an hour had passed; return what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    server = world.gateway.server
    assert server is not None
    writer.write(data)
    await until(lambda: any(connection.reading for connection in server.connections))
    server.sweep(asyncio.get_running_loop().time() + 3600)
    first = await reader.readuntil(b"\r\n\r\n")
    server.sweep(asyncio.get_running_loop().time() + 7200)
    writer.close()
    return first


async def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """Twenty at once over one connection."""
    async with gateway_world(tmp_path) as world:
        one = b"GET /v1/models/up%%2f%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = await world.raw(b"".join(one % i for i in range(20)) + last)
        assert answer.count(b"HTTP/1.1 404") == 20
        assert answer.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("said", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"])
async def test_idle_strangers_shut_nobody_out(tmp_path: Path, said: bytes) -> None:
    """The longest idle connection makes room for a new client."""
    async with gateway_world(tmp_path, options={"web": replace(LIMITS, max_connections=3)}) as world:
        assert world.gateway.server is not None
        server = world.gateway.server
        held = []
        for number in range(1, 4):
            held.append(await asyncio.open_connection("127.0.0.1", world.port))
            held[-1][1].write(said)
            if said:
                await held[-1][0].readuntil(b'{"status":"ok"}')
            await until(lambda number=number: len(server.connections) == number)  # type: ignore[misc]
        answer = await world.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(held[0][0].read(), 120) == b""
        assert len(server.connections) <= 3
        for _, writer in held:
            writer.close()


async def test_too_many_connections_at_work_turn_the_next_one_away(tmp_path: Path) -> None:
    """503 while every connection has a request under way."""
    asked = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()

    entry = '[endpoints.raw]\nkind = "openai_compatible"\nbase_url = "{}"\nlocal = true\n'
    options = {"web": replace(LIMITS, max_connections=1), "retries": 0}
    async with raw_upstream(talk) as url, gateway_world(tmp_path, settings=entry.format(url), options=options) as world:
        _, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(post(json.dumps(chat("raw/m")).encode()))
        await asked.wait()
        answer = await world.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", eof=True)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After" in answer
        writer.close()


JSON_VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


async def test_any_json_object_gets_an_answer_in_shape(tmp_path: Path) -> None:
    """The upstream's 200 or an error object, never a 500."""
    async with gateway_world(tmp_path) as world:
        bodies: list[dict[str, Any]] = []

        @settings(max_examples=some_of(150), deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(
            st.fixed_dictionaries(
                {},
                optional={
                    "model": st.just("up/good") | JSON_VALUES,
                    "messages": st.just(USER) | JSON_VALUES,
                    "tools": JSON_VALUES,
                    "stream": st.booleans() | JSON_VALUES,
                    "n": JSON_VALUES,
                },
            )
        )
        def collect(body: dict[str, Any]) -> None:
            bodies.append(body)

        collect()
        for body in bodies:
            answer = await world.post(json.dumps(body).encode())
            assert answer.status in (200, 400, 404), (body, answer)
            if answer.status != 200:
                assert answer.error["message"]


async def test_any_bytes_leave_the_gateway_well(tmp_path: Path) -> None:
    """An error status or a closed connection; the next client is served."""
    async with gateway_world(tmp_path, options={"web": LIMITS}) as world:
        pieces: list[bytes] = []
        starts = st.sampled_from([b"", b"GET /health HTTP/1.1\r\n", b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"])
        lines = st.lists(
            st.sampled_from(
                [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n"]
            )
        )

        @settings(max_examples=some_of(150), deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(starts, lines, st.binary(max_size=200))
        def collect(start: bytes, middle: list[bytes], end: bytes) -> None:
            pieces.append(start + b"".join(middle) + end)

        collect()
        for data in pieces:
            answer = await world.raw(data, eof=True)
            assert not answer or answer.startswith(b"HTTP/1.1 "), data
            assert b" 500 " not in answer[:40], data
        await assert_well(world)
