"""The shared client against servers that misbehave below HTTP's good manners."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import pytest

from selfopt.dialects.base_url import normalise_base_url
from selfopt.endpoints.factory import create_endpoint
from selfopt.errors import EndpointError, EndpointFault, SettingsError
from selfopt.records import ChatChunk, Endpoint, EnoughError, is_loopback
from tests.endpoints.kit import KEY, ask, config_for

JSON = b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}'


def response(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    """A whole HTTP response."""
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n" + headers + b"\r\n" + body


class RawServer:
    """Writes the same bytes to everybody, whatever was asked, and closes. `seen` holds the requests."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.seen: list[bytes] = []
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            self.seen.append(await reader.readuntil(b'"stream":') + await reader.read(6))
            writer.write(self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()


class Start(Protocol):
    """Starts a raw server and gives an endpoint that speaks to it."""

    async def __call__(self, answer: bytes, **config: int) -> tuple[Endpoint, RawServer]: ...


async def drain(endpoint: Endpoint) -> list[ChatChunk]:
    """All pieces of a stream."""
    return [chunk async for chunk in endpoint.stream(ask("hello"))]


@pytest.fixture
async def raw() -> AsyncIterator[Start]:
    """Starts a raw server and gives an endpoint that speaks to it."""
    opened: list[tuple[asyncio.Server, Endpoint]] = []

    async def start(answer: bytes, **config: int) -> tuple[Endpoint, RawServer]:
        served = RawServer(answer)
        server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        endpoint = create_endpoint(config_for("openai_compatible", f"http://127.0.0.1:{port}", KEY, **config))
        opened.append((server, endpoint))
        return endpoint, served

    yield start
    for server, endpoint in opened:
        await endpoint.close()
        server.close()
        await server.wait_closed()


HOSTILE: dict[str, bytes] = {
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "nothing": b"",
    "bad status line": b"HTTP/1.1 banana\r\n\r\n",
    "bad header": b"HTTP/1.1 200 OK\r\n\x00\x01: x\r\n\r\n",
    "header without end": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (i, b"v" * 4000) for i in range(100)),
    "bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + JSON,
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n" + JSON,
    "chunks cut": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + JSON[:20],
    "bad gzip": response(b"no gzip at all", b"Content-Encoding: gzip\r\n"),
    "bad deflate": response(b"\x00\x01\x02", b"Content-Encoding: deflate\r\n"),
    "unknown encoding": response(b"\x00\x01\x02", b"Content-Encoding: br\r\n"),
    "redirect to itself": response(b"", b"Location: /v1/chat/completions\r\n", b"307 Temporary Redirect"),
    "no choices": response(b'{"choices": []}'),
    "choices of nonsense": response(b'{"choices": [3]}'),
    "null": response(b"null"),
    "text": response(b'"hello"'),
    "content is a number": response(b'{"choices":[{"message":{"content":7}}]}'),
    "a part is a number": response(b'{"choices":[{"message":{"content":[{"text":7}]}}]}'),
    "number of 5000 digits": response(b'{"choices":' + b"9" * 5000 + b"}"),
    "only a space": response(b" "),
    "error inside": response(b'{"error": "out of memory"}'),
    "rate limit inside": response(b'{"error": {"code": 429, "message": "slow down"}}'),
}
KINDS: dict[str, EndpointFault] = {"error inside": "server", "rate limit inside": "rate_limited"}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("streamed", [False, True])
async def test_whatever_a_server_sends_is_an_endpoint_error(raw: Start, what: str, streamed: bool) -> None:
    """Never another exception, and the request is on record."""
    endpoint, _ = await raw(HOSTILE[what])
    with pytest.raises(EndpointError) as caught:
        await (drain(endpoint) if streamed else endpoint.chat(ask("hello")))
    if not (streamed and what in KINDS):
        assert caught.value.kind == KINDS.get(what, "protocol")
    assert "hello" in caught.value.request_body
    assert str(caught.value).isprintable()


ODD: dict[str, bytes] = {
    "content is null": b'{"choices":[{"message":{"content":null}}]}',
    "content in parts": b'{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"text":"b"},3]}}]}',
    "calls of nonsense": b'{"choices":[{"message":{"content":"","tool_calls":[1,null,{},{"function":{"name":3,"arguments":[]}}]}}]}',
    "usage of nonsense": b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":-1,"completion_tokens":"many"},"timings":[]}',
    "lone surrogate": b'{"choices":[{"message":{"content":"\\ud800"}}]}',
    "unknown finish": b'{"choices":[{"finish_reason":"tired","message":{"content":"x"}}],"model":9}',
}


@pytest.mark.parametrize("what", ODD)
async def test_odd_replies_are_read_as_far_as_they_go(raw: Start, what: str) -> None:
    """A reply with a message is a reply; what is no figure is none."""
    endpoint, _ = await raw(response(ODD[what]))
    reply = await endpoint.chat(ask("hello"))
    assert reply.reply_body == ODD[what].decode()
    if what == "calls of nonsense":
        assert len(reply.content.broken_tool_calls) == 4
    if what == "content in parts":
        assert reply.content.text == "ab"
    assert reply.model_dump_json()


STREAMS: dict[str, bytes] = {
    "no end": b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
    "no json": b"data: {nope\n\n",
    "not events": b"hello\nworld\n",
    "error event": b'data: {"error":{"code":503,"message":"Loading model"}}\n\n',
    "invalid utf-8": b"data: \xff\xfe\n\n",
}


@pytest.mark.parametrize("what", STREAMS)
async def test_a_broken_stream_is_an_endpoint_error(raw: Start, what: str) -> None:
    """Also after good pieces."""
    endpoint, _ = await raw(response(STREAMS[what], b"Content-Type: text/event-stream\r\n"))
    with pytest.raises(EndpointError) as caught:
        await drain(endpoint)
    assert caught.value.kind == ("loading" if what == "error event" else "protocol")


async def test_a_stream_without_an_end_mark_but_with_a_finish_reason_is_whole(raw: Start) -> None:
    """Comments, CRLF and a missing [DONE] are borne."""
    body = b': hi\r\nevent: x\r\ndata: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\r\n\r\ndata:\r\n'
    endpoint, _ = await raw(response(body))
    final = (await drain(endpoint))[-1].final
    assert final is not None
    assert final.content.text == "a"


CALLING = (
    b'data: {"choices":[{"delta":{"content":"So. "}}]}\n\n'
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":"{\\"q\\": \\"a"}}]}}]}\n\n'
    b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":" and a"}}]}}]}\n\n'
)


async def test_a_stream_that_had_enough_tells_what_came(raw: Start) -> None:
    """The call that was being written, too; the server is left, though its stream goes on."""
    endpoint, _ = await raw(response(CALLING * 2))
    chunks = endpoint.stream(ask("hello"))
    assert isinstance(chunks, AsyncGenerator)
    said = [await anext(chunks) for _ in range(3)]
    assert [chunk.calling for chunk in said] == ["", 'look{"q": "a', " and a"]
    final = (await chunks.athrow(EnoughError())).final
    assert final is not None
    assert (final.content.text, final.content.finish_reason) == ("So. ", "length")
    (broken,) = final.content.broken_tool_calls
    assert json.loads(broken) == {"name": "look", "arguments": '{"q": "a and a', "id": "a"}
    assert [chunk async for chunk in chunks] == []


async def test_isolation_takes_a_fresh_connection_each_time(raw: Start) -> None:
    """And asks llama.cpp for no cache."""
    endpoint, server = await raw(response(JSON, b"Connection: keep-alive\r\n"))
    for _ in range(3):
        await endpoint.chat(ask("hello", isolate=True))
    assert server.connections == 3
    assert all(b'"cache_prompt":false' in seen and b"Connection: close" in seen for seen in server.seen)


class KeepingServer:
    """Answers each request on a connection that it keeps open, and counts connections."""

    def __init__(self) -> None:
        self.connections = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        streamed = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readuntil(b'"stream":') + await reader.readuntil(b"}")
                writer.write(response(streamed if b'"stream":true' in request else JSON))
                await writer.drain()
        writer.close()


@pytest.fixture
async def keeping() -> AsyncIterator[tuple[Endpoint, KeepingServer]]:
    """An endpoint and its patient server."""
    served = KeepingServer()
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0)
    endpoint = create_endpoint(config_for("openai_compatible", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    yield endpoint, served
    await endpoint.close()
    server.close()
    await server.wait_closed()


async def test_whole_replies_share_a_connection_and_streams_do_not(
    keeping: tuple[Endpoint, KeepingServer],
) -> None:
    """llama.cpp closes after a stream unannounced: the next request on that connection would fail."""
    endpoint, server = keeping
    for _ in range(3):
        await endpoint.chat(ask("hello"))
    assert server.connections == 1
    await drain(endpoint)
    assert server.connections == 2
    await endpoint.chat(ask("hello"))
    assert server.connections == 2


async def test_a_connection_that_idled_is_not_used_again(
    keeping: tuple[Endpoint, KeepingServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers close idle ones after 5 s, which a request at that moment must not meet."""
    endpoint, server = keeping
    await endpoint.chat(ask("hello"))
    monkeypatch.setattr("aiohttp.connector.monotonic", lambda: time.monotonic() + 3.0)
    await endpoint.chat(ask("hello"))
    assert server.connections == 2


async def test_a_long_reply_within_the_bound_is_read_and_one_byte_more_is_not(raw: Start) -> None:
    """max_reply_bytes is exact."""
    body = JSON + b" " * (5000 - len(JSON))
    endpoint, _ = await raw(response(body), max_reply_bytes=5000)
    assert (await endpoint.chat(ask("hello"))).content.text == "ok"
    endpoint, _ = await raw(response(body + b" "), max_reply_bytes=5000)
    with pytest.raises(EndpointError, match=r"5000 bytes; lower .* or raise the endpoint's max_reply_bytes") as caught:
        await endpoint.chat(ask("hello"))
    assert not caught.value.retryable, "the same reply would come again"


async def test_a_broken_reply_is_named_in_words_that_help(raw: Start) -> None:
    """Not in those of a library: what is no HTTP, an empty reply, a number without end, a redirect's target."""
    for sent, words in (
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP reply: "),
        (response(b" "), "reply is empty;"),
        (response(b"9" * 5000), "reply is not JSON: Exceeds the limit"),
        (HOSTILE["redirect to itself"], "redirects to /v1/chat/completions, and redirects are not followed: correct base_url"),
    ):
        endpoint, _ = await raw(sent)
        with pytest.raises(EndpointError, match=words) as caught:
            await endpoint.chat(ask("hello"))
        assert "sys.set_int" not in str(caught.value)
        assert "ClientResponseError" not in str(caught.value)
        assert caught.value.retryable == ("redirects" not in words)


async def test_a_server_that_accepts_nobody_is_a_connect_fault() -> None:
    """The connect timeout is its own, shorter bound."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    endpoint = create_endpoint(config_for("openai_compatible", f"http://127.0.0.1:{listener.getsockname()[1]}"))
    with pytest.raises(EndpointError) as caught:
        await endpoint.chat(ask("hello", connect_timeout_s=0.2, timeout_s=30))
    assert caught.value.kind == "connect"
    await endpoint.close()
    for opened in (*fillers, listener):
        opened.close()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("0.0.0.0:11434", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        ("http://host", "http://host"),
        ("https://host/", "https://host"),
        (" http://host:1/v1/ ", "http://host:1/v1"),
        ("[::]:80", "http://[::1]:80"),
        ("[::1]", "http://[::1]:11434"),
        ("http://u:p@host:1", "http://u:p@host:1"),
    ],
)
def test_base_urls_are_normalised(text: str, url: str) -> None:
    """As people write OLLAMA_HOST."""
    assert normalise_base_url(text, default_port=11434) == url


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "http://", "http://a b", "http://x:99999", "http://x:y", "http://[::1", "file:///etc", "\x1b"]
)
def test_what_is_no_url_is_refused(text: str) -> None:
    """In one printable line."""
    with pytest.raises(SettingsError) as caught:
        normalise_base_url(text)
    assert str(caught.value).isprintable()


def test_loopback_is_told_from_elsewhere() -> None:
    """By name or address."""
    assert [
        is_loopback(u) for u in ("http://localhost:1", "http://127.0.0.9", "http://[::1]", "http://10.0.0.1", "https://x.org")
    ] == [True] * 3 + [False] * 2


@pytest.mark.parametrize("key", ["a\nb", "ключ", "a\x00"])
def test_a_key_that_no_header_can_hold_is_refused(key: str) -> None:
    """Without showing it."""
    with pytest.raises(SettingsError) as caught:
        create_endpoint(config_for("openai_compatible", "http://x", key))
    assert key not in str(caught.value)
