"""What hostile clients do. Each attack returns every byte that it got."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine

from .world import LONG, World, chat_body

__all__ = ["BODIES", "CLIENTS", "FRAMES"]

BODY_BYTES = 19_900_000
Attack = Callable[[World], Coroutine[None, None, list[bytes]]]
CLIENTS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Put an attack into the list."""
    CLIENTS[function.__name__] = function
    return function


async def talk(port: int, *pieces: bytes, wait_s: float = 5.0, pause_s: float = 0.0) -> bytes:
    """Send these, return what comes until the gateway closes or says nothing for so long."""
    got = b""
    with contextlib.suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), wait_s)
                await asyncio.sleep(pause_s)
            while data := await asyncio.wait_for(reader.read(65_536), wait_s):
                got += data
        except (OSError, TimeoutError):
            pass
        finally:
            writer.transport.abort()
    return got


def head(world: World, length: int | None, *lines: str, key: bool = True) -> bytes:
    """The head of a chat."""
    own = ["POST /v1/chat/completions HTTP/1.1", f"Host: 127.0.0.1:{world.port}", "Content-Type: application/json", *lines]
    own += [f"Authorization: Bearer {world.key}"] if key else []
    own += [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join([*own, "", ""]).encode()


HONEST = json.dumps(chat_body("up/honest")).encode()

# Framing: each is sent as it is (HOST stands for the gateway's). None may pass for two requests, or hold a connection for long.
FRAMES: dict[str, bytes] = {
    "upgrade_h2c": b"GET /health HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "websocket": b"GET /health HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
    "connect": b"CONNECT example.org:443 HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "http2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http_2_0": b"GET /health HTTP/2.0\r\nHost: HOST\r\n\r\n",
    "two_spaces": b"GET  /health  HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "two_lengths": b"POST /v1/chat/completions HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length_and_chunked": b"POST /v1/feedback HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\n\r\n",
    "gzip_chunked": b"POST /v1/feedback HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked_twice": b"POST /v1/feedback HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "negative_chunk": b"POST /v1/feedback HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "huge_chunk": b"POST /v1/feedback HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "folded": b"GET /health HTTP/1.1\r\nHost: HOST\r\nX-A: b\r\n c\r\n\r\n",
    "bare_lf": b"GET /health HTTP/1.1\nHost: HOST\n\n",
    "bare_cr": b"GET /health HTTP/1.1\r\nHost: HOST\r\nX-A: b\rc\r\n\r\n",
    "nul": b"GET /health HTTP/1.1\r\nHost: HOST\r\nX-A: \x00\r\n\r\n",
    "space_before_colon": b"GET /health HTTP/1.1\r\nHost : HOST\r\n\r\n",
    "no_host": b"GET /health HTTP/1.1\r\n\r\n",
    "two_hosts": b"GET /health HTTP/1.1\r\nHost: HOST\r\nHost: example.org\r\n\r\n",
    "long_target": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "many_headers": b"GET /health HTTP/1.1\r\nHost: HOST\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n",
    "garbage": bytes(range(256)) * 400,
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500,
}


def _bodies() -> dict[str, bytes]:
    def within(field: bytes) -> bytes:
        return HONEST[:-1] + b', "x": ' + field + b"}"

    n = BODY_BYTES - 1000
    schema: dict[str, object] = {"type": "string"}
    for _ in range(25):
        schema = {"type": "object", "properties": {"a": schema}}
    tools = [{"type": "function", "function": {"name": f"t{i}", "parameters": schema}} for i in range(512)]
    content = b'{"model":"%s","messages":[{"role":"user","content":"%s"}]}'
    return {
        "deep_brackets": within(b"[" * n),
        "flat_brackets": within(b"[" + b"[]," * (n // 3) + b"1]"),
        "nested_brackets": within(b"[" + b",".join([b"[" * 50 + b"]" * 50] * (n // 101)) + b"]"),
        "brackets_in_text": content % (b"up/honest", b"[" * n),
        "objects": within(b"[" + b'{"":1},' * (n // 7) + b"1]"),
        "numbers": within(b"[" + b"1," * (n // 2) + b"1]"),
        "one_number": within(b"1" * n),
        "keys_at_the_top": HONEST[:-1] + b"".join(b',"%d":1' % i for i in range(n // 12)) + b"}",
        "same_key": within(b"{" + b'"a":1,' * (n // 6) + b'"a":1}'),
        "empty_texts": within(b"[" + b'"",' * (n // 3) + b"1]"),
        "escaped_quotes": content % (b"up/honest", b'\\"' * (n // 2)),
        "escapes": content % (b"up/honest", b"\\n" * (n // 2)),
        "nul_escapes": content % (b"up/honest", b"\\u0000" * (n // 6)),
        "half_surrogates": content % (b"up/honest", b"\\ud800" * (n // 6)),
        "large_text": content % (b"up/honest", b"a" * n),
        "large_text_anthropic": content % (b"anth/honest", b"a\\n" * (n // 3)),
        "pieces_anthropic": b'{"model":"anth/honest","messages":[{"role":"user","content":[' + b"1," * 900_000 + b"1]}]}",
        "no_utf8": content % (b"up/honest", b"\xff" * n),
        "byte_order_mark": b"\xef\xbb\xbf" + content % (b"up/honest", b"a" * n),
        "spaces": HONEST[:-1] + b" " * n + b"}",
        "messages_10000": json.dumps({"model": "via/honest", "messages": [{"role": "user", "content": "hi"}] * 10_000}).encode(),
        "messages_240000": b'{"model":"up/honest","messages":[' + b'{"role":"user"},' * 240_000 + b'{"role":"user"}]}',
        "tools_512": json.dumps(chat_body("via/honest", tools=tools)).encode(),
        "tools_128_deep": json.dumps(chat_body("via/honest", tools=tools[:128], stream=True)).encode(),
        "tools_of_numbers": HONEST[:-1] + b', "tools": [' + b"1," * (n // 2) + b"1]}",
    }


BODIES: dict[str, Callable[[], bytes]] = {name: (lambda name=name: _bodies()[name]) for name in _bodies()}  # type: ignore[misc]


@attack
async def slow_heads(world: World) -> list[bytes]:
    """300 heads, a line now and then."""
    lines = [b"POST /v1/chat/completions HTTP/1.1\r\n", *(b"X-A: b\r\n" for _ in range(20))]
    return await asyncio.gather(*(talk(world.port, *lines, wait_s=1.0, pause_s=0.2) for _ in range(300)))


@attack
async def slow_bodies(world: World) -> list[bytes]:
    """300 bodies that were promised, a few bytes now and then."""
    pieces = [head(world, 10_000_000), *(b" " * 100 for _ in range(20))]
    return await asyncio.gather(*(talk(world.port, *pieces, wait_s=1.0, pause_s=0.2) for _ in range(300)))


@attack
async def uploads_without_a_key(world: World) -> list[bytes]:
    """60 uploads at once without a key, given up before their end."""
    return await _uploads(world, 60, key=False)


@attack
async def uploads_with_a_key(world: World) -> list[bytes]:
    """As many with one: nobody may fill the memory, whoever it is."""
    return await _uploads(world, 60, key=True)


@attack
async def uploads_one_after_another(world: World) -> list[bytes]:
    """The same, one at a time."""
    return [got for _ in range(60 if LONG else 15) for got in await _uploads(world, 1, key=False)]


async def _uploads(world: World, n: int, *, key: bool) -> list[bytes]:
    piece = b" " * 199_000
    return await asyncio.gather(
        *(talk(world.port, head(world, BODY_BYTES, key=key), *[piece] * 99, wait_s=3.0) for _ in range(n))
    )


@attack
async def idle_connections(world: World) -> list[bytes]:
    """A thousand connections on which nothing is said; an honest chat beside them is answered."""
    writers = []
    with contextlib.suppress(OSError):
        for _ in range(1000):
            writers.append((await asyncio.open_connection("127.0.0.1", world.port))[1])
    got = await talk(world.port, head(world, len(HONEST), "Connection: close") + HONEST, wait_s=5.0)
    for writer in writers:
        writer.transport.abort()
    assert b"honest model" in got, got[:300]
    return [got]


@attack
async def endless_trailers(world: World) -> list[bytes]:
    """Trailers without an end, from several clients without a key."""
    start = head(world, None, "Transfer-Encoding: chunked", key=False) + b"2\r\n{}\r\n0\r\n"
    seconds = 45 if LONG else 8
    line = b"X-A: " + b"b" * 60_000 + b"\r\n"

    async def one() -> bytes:
        return await talk(world.port, start, *[line] * (seconds * 20), wait_s=3.0, pause_s=0.05)

    return await asyncio.gather(*(one() for _ in range(8)))


@attack
async def endless_trailer_line(world: World) -> list[bytes]:
    """One trailer without an end."""
    start = head(world, None, "Transfer-Encoding: chunked", key=False) + b"2\r\n{}\r\n0\r\nX-A: "
    return await asyncio.gather(
        *(talk(world.port, start, *[b"b" * 65_536] * (4000 if LONG else 800), wait_s=3.0) for _ in range(4))
    )


@attack
async def tiny_chunks(world: World) -> list[bytes]:
    """A body in a million chunks of a byte."""
    start = head(world, None, "Transfer-Encoding: chunked")
    return await asyncio.gather(*(talk(world.port, start, *[b"1\r\n \r\n" * 10_000] * 20, wait_s=5.0) for _ in range(3)))


@attack
async def pipelining(world: World) -> list[bytes]:
    """Thousands of requests without waiting for an answer."""
    one = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % world.port
    got = await asyncio.gather(*(talk(world.port, *[one * 100] * 20, wait_s=1.0) for _ in range(5)))
    chat = head(world, len(HONEST)) + HONEST
    return [*got, *await asyncio.gather(*(talk(world.port, chat * 50, wait_s=2.0) for _ in range(5)))]


@attack
async def early_resets(world: World) -> list[bytes]:
    """Clients that leave at every point of a request."""
    whole = head(world, len(HONEST)) + HONEST
    places = range(0, len(whole) + 1, 1 if LONG else 8)
    return await asyncio.gather(*(talk(world.port, whole[:place], wait_s=0.01) for place in places))


@attack
async def slow_readers(world: World) -> list[bytes]:
    """Clients that ask for endless streams and take nothing of them."""
    body = json.dumps(chat_body("up/endless_body", stream=True)).encode()
    writers = []
    for _ in range(20):
        _, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1024)
        writer.write(head(world, len(body)) + body)
        writers.append(writer)
    await asyncio.sleep(5.0)
    for writer in writers:
        writer.transport.abort()
    return []
