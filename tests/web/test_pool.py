"""Kept connections: nothing of an answer reaches the next request, whatever a server sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from selfopt.errors import EndpointError, SettingsError
from selfopt.web import HttpAddress, Pool, UpstreamReply

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[HttpAddress]:
    """Run a server; `talk` handles each connection, given its number."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        number = count
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await talk(reader, writer, number)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield HttpAddress.of("up", f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1", None)
    finally:
        listener.close()


async def ask(pool: Pool, address: HttpAddress, max_bytes: int = 100_000) -> UpstreamReply:
    """Send one request."""
    return await pool.ask(address, b"GET / HTTP/1.1\r\n\r\n", timeout_s=120, connect_timeout_s=120, max_bytes=max_bytes)


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nContent-Le", GOOD, b"\r\n", b"x"])
async def test_what_nobody_asked_for_reaches_no_request(surplus: bytes) -> None:
    """Extra bytes end the connection, and the next request uses another."""
    for together in (True, False):

        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, together: bool = together
        ) -> None:
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number
            writer.write(answer + (surplus if together else b""))
            await writer.drain()
            if not together:
                writer.write(surplus)
                await writer.drain()

        async with server(talk) as address:
            pool = Pool()
            assert [(await ask(pool, address)).body for _ in range(3)] == [b"1", b"2", b"3"]
            pool.close()


async def test_a_good_connection_is_used_again() -> None:
    """One connection serves all requests, chunked or not."""
    answers = [
        GOOD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ]
    numbers = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        numbers.append(number)
        writer.write(answers[len(numbers) % 3])

    async with server(talk) as address:
        pool = Pool()
        for _ in range(6):
            assert (await ask(pool, address)).body in (b"ok", b"")
        assert numbers == [1] * 6
        pool.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 9000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: a\r\n" * 100 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 9000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 20_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + GOOD,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 150_000,
    ],
    ids=range(18),
)
async def test_what_is_no_answer_is_an_error_at_once(answer: bytes) -> None:
    """The error is `protocol`, without waiting for the timeout, and the connection closes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(answer)
        await reader.read()

    async with server(talk) as address:
        pool = Pool()
        with pytest.raises(EndpointError) as caught:
            await ask(pool, address)
        assert caught.value.kind == "protocol"
        while pool.connections:  # noqa: ASYNC110  the loop closes it
            await asyncio.sleep(0)
        pool.close()


async def test_the_rest_of_a_failed_stream_is_read_within_its_limit() -> None:
    """However small its pieces are."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n" + b"20\r\n" + b"e" * 32 + b"\r\n")
        for _ in range(500):
            writer.write(b"20\r\n" + b"e" * 32 + b"\r\n")
        writer.write(b"0\r\n\r\n")

    async with server(talk) as address:
        pool = Pool()
        head, stream = await pool.open(address, b"GET / HTTP/1.1\r\n\r\n", timeout_s=120, connect_timeout_s=120, max_bytes=10**6)
        assert head.status == 500
        assert await stream.drain(1000) == b"e" * 1000
        pool.done(address, stream)
        assert stream.connection.closed
        pool.close()


@pytest.mark.parametrize(
    "url", ["http://a b/v1", "http://a/\x01", "http://a/v\x7f", "http://ä/v1", "ftp://a", "http://", "http://a:b/"]
)
def test_an_address_that_cannot_be_written_is_refused(url: str) -> None:
    """It is refused before anything is sent there."""
    with pytest.raises(SettingsError, match="cannot be used"):
        HttpAddress.of("up", url, None)


@pytest.mark.parametrize("key", ["a\r\nX: b", "a\x00", "ä", "a\x7f"])
def test_a_key_that_is_no_header_is_refused(key: str) -> None:
    """It could add headers of its own."""
    with pytest.raises(SettingsError, match="API key"):
        HttpAddress.of("up", "http://a/v1", key)
