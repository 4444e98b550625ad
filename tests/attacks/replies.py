"""What a hostile server answers: a list that gateway and measuring meet alike. Each is a model's name at the upstream."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["KEY", "LONG", "REPLIES", "SPELLINGS", "Asked", "honest"]

KEY = "sk-planted/0123456789-abcdef"
JSON_TYPE = b"Content-Type: application/json"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
GIVEN_UP_BYTES = 80_000_000
LONG = os.environ.get("ATTACKS") == "long"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the upstream got it."""

    path: str
    body: dict[str, Any]
    writer: asyncio.StreamWriter

    @property
    def streamed(self) -> bool:
        """Whether pieces are wanted."""
        return bool(self.body.get("stream"))

    async def send(self, data: bytes) -> None:
        """Write, no faster than it is taken."""
        self.writer.write(data)
        await self.writer.drain()

    async def forever(self, piece: bytes) -> None:
        """The same again and again, until nobody takes it or enough was sent."""
        sent = 0
        async with asyncio.timeout(20.0 if LONG else 2.0):
            while sent < GIVEN_UP_BYTES:
                await self.send(piece)
                sent += len(piece)


Answer = Callable[[Asked], Awaitable[None]]
REPLIES: dict[str, Answer] = {}


def answer(function: Answer) -> Answer:
    """Put an answer into the list, under its own name."""
    REPLIES[function.__name__] = function
    return function


def whole(body: bytes, status: bytes = b"200 OK", *lines: bytes) -> bytes:
    """An answer in one piece."""
    head = [b"HTTP/1.1 " + status, *(lines or (JSON_TYPE,)), b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(head) + body


def chunk(data: bytes) -> bytes:
    """A piece of an answer in pieces."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def said(text: str, path: str = "", calls: list[Any] | None = None) -> bytes:
    """A reply with this text in the dialect of the path."""
    if path.endswith("/messages"):
        body: dict[str, Any] = {
            "type": "message",
            "model": "m",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
        }
    elif path.endswith("/api/chat"):
        body = {"model": "m", "message": {"role": "assistant", "content": text}, "done": True, "done_reason": "stop"}
    else:
        message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
        body = {
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }
    return json.dumps(body).encode()


def events(texts: list[str], path: str = "") -> Iterator[bytes]:
    """The pieces of a streamed reply with these texts."""
    if path.endswith("/messages"):
        yield chunk(b'data: {"type":"message_start","message":{"model":"m"}}\n\n')
        for text in texts:
            delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            yield chunk(b"data: " + json.dumps(delta).encode() + b"\n\n")
        yield chunk(b'data: {"type":"message_stop"}\n\n')
    elif path.endswith("/api/chat"):
        for text in texts:
            yield chunk(json.dumps({"message": {"content": text}, "done": False}).encode() + b"\n")
        yield chunk(b'{"message":{"content":""},"done":true,"done_reason":"stop"}\n')
    else:
        for text in texts:
            piece = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
            yield chunk(b"data: " + json.dumps(piece).encode() + b"\n\n")
        yield chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    yield b"0\r\n\r\n"


async def speak(asked: Asked, text: str) -> None:
    """A lawful reply with this text, in pieces where pieces are wanted."""
    if not asked.streamed:
        await asked.send(whole(said(text, asked.path)))
        return
    await asked.send(SSE)
    size = max(1, len(text) // 50)
    for piece in events([text[i : i + size] for i in range(0, len(text), size)], asked.path):
        await asked.send(piece)


@answer
async def honest(asked: Asked) -> None:
    """What an ordinary server says."""
    await speak(asked, "Hello, I am an honest model.")


@answer
async def endless_head(asked: Asked) -> None:
    """Headers without an end."""
    await asked.send(b"HTTP/1.1 200 OK\r\n")
    await asked.forever(b"X-More: " + b"a" * 1000 + b"\r\n")


@answer
async def endless_line(asked: Asked) -> None:
    """One header without an end."""
    await asked.send(b"HTTP/1.1 200 OK\r\nX-More: ")
    await asked.forever(b"a" * 65_536)


@answer
async def endless_trailers(asked: Asked) -> None:
    """A whole body, then trailers without an end."""
    await asked.send(SSE + chunk(b"data: {}\n\n") + b"0\r\n")
    await asked.forever(b"X-More: " + b"a" * 1000 + b"\r\n")


@answer
async def endless_trailer_line(asked: Asked) -> None:
    """A whole body, then one trailer without an end."""
    await asked.send(SSE + chunk(b"data: {}\n\n") + b"0\r\nX-More: ")
    await asked.forever(b"a" * 65_536)


@answer
async def endless_body(asked: Asked) -> None:
    """A body without an end."""
    await asked.send(SSE)
    await asked.forever(chunk(b"a" * 65_536))


@answer
async def endless_chunk_line(asked: Asked) -> None:
    """The extension of a chunk without an end."""
    await asked.send(SSE + b"5;")
    await asked.forever(b"a" * 65_536)


@answer
async def endless_event(asked: Asked) -> None:
    """One line of a stream of events without an end."""
    await asked.send(SSE)
    await asked.send(chunk(b'data: {"choices":[{"delta":{"content":"'))
    await asked.forever(chunk(b"a" * 65_000))


@answer
async def brackets(asked: Asked) -> None:
    """A text of 250,000 brackets."""
    await speak(asked, "[" * 250_000)


@answer
async def bracket_pairs(asked: Asked) -> None:
    """A text of lists in lists that are closed."""
    await speak(asked, ("[" * 30 + "]" * 30) * 8000)


@answer
async def bracket_body(asked: Asked) -> None:
    """A body of 250,000 brackets, no reply at all."""
    await asked.send(whole(b"[" * 250_000))


@answer
async def number_body(asked: Asked) -> None:
    """A body of two million numbers beside the reply."""
    lead = said("ok", asked.path)[:-1] + b', "more": ['
    await asked.send(whole(lead + b"1," * 1_900_000 + b"1]}"))


@answer
async def many_calls(asked: Asked) -> None:
    """Thirty thousand calls."""
    calls = [{"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}] * 30_000
    await asked.send(whole(said("", asked.path, calls)))


@answer
async def quotes_and_braces(asked: Asked) -> None:
    """What parsers of calls begin to read, again and again."""
    await speak(asked, '{"name": "get_weather", "arguments": {"city": "' * 5000)


@answer
async def tags(asked: Asked) -> None:
    """Tags of calls that never end."""
    await speak(asked, '<tool_call>{"a": [1, <function=x><parameter=y>' * 5000)


@answer
async def fences(asked: Asked) -> None:
    """Code fences that never end, with the beginnings of calls."""
    await speak(asked, "```json\n[get_weather(city='\n" * 10_000)


@answer
async def four_megabytes(asked: Asked) -> None:
    """A text of nearly the size that is allowed."""
    await speak(asked, "All work and no play, {'a': 1}. " * 110_000)


@answer
async def escapes(asked: Asked) -> None:
    """Three megabytes of escapes."""
    lead = said("TEXT", asked.path)
    await asked.send(whole(lead.replace(b"TEXT", b"\\n\\u0041\\\\" * 300_000)))


@answer
async def surrogates(asked: Asked) -> None:
    """Halves of characters."""
    await asked.send(whole(said("TEXT", asked.path).replace(b"TEXT", b"\\ud800" * 50_000)))


@answer
async def digits(asked: Asked) -> None:
    """A number of a million digits."""
    await asked.send(whole(said("ok", asked.path)[:-1] + b', "n": ' + b"1" * 1_000_000 + b"}"))


@answer
async def gzip_bomb(asked: Asked) -> None:
    """A hundred megabytes in a hundred kilobytes, which nobody asked for."""
    packed = gzip.compress(b" " * 100_000_000)
    await asked.send(whole(packed, b"200 OK", JSON_TYPE, b"Content-Encoding: gzip"))


@answer
async def too_short(asked: Asked) -> None:
    """Less than was promised."""
    await asked.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{}")
    asked.writer.close()


@answer
async def surplus(asked: Asked) -> None:
    """More than was promised: half an answer that nobody asked for."""
    await asked.send(whole(said("ok", asked.path)) + b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")


@answer
async def two_answers(asked: Asked) -> None:
    """An answer, and another one for whoever asks next."""
    await asked.send(whole(said("ok", asked.path)) + whole(said("SMUGGLED", asked.path)))


@answer
async def length_twice(asked: Asked) -> None:
    """Two lengths."""
    body = said("ok", asked.path)
    await asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@answer
async def redirect(asked: Asked) -> None:
    """To somebody else."""
    await asked.send(whole(b"", b"307 Temporary Redirect", b"Location: http://127.0.0.2:1/steal?key=" + KEY.encode()))


@answer
async def no_http(asked: Asked) -> None:
    """Another protocol."""
    await asked.send(b"SSH-2.0-OpenSSH_9.6 " + KEY.encode() + b"\r\n" + bytes(range(256)) * 100)
    asked.writer.close()


@answer
async def cut_stream(asked: Asked) -> None:
    """A stream that ends in the middle."""
    await asked.send(SSE)
    for piece in list(events(["Hel", "lo"], asked.path))[:2]:
        await asked.send(piece)
    asked.writer.close()


@answer
async def slow_bytes(asked: Asked) -> None:
    """A byte at a time."""
    data = whole(said("ok", asked.path))
    for place in range(len(data)):
        await asked.send(data[place : place + 1])
        await asyncio.sleep(0.01)


@answer
async def reset(asked: Asked) -> None:
    """Nothing but the end of the connection."""
    asked.writer.transport.abort()


SPELLINGS: dict[str, str] = {
    "plain": KEY,
    "json": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "some_json": KEY.replace("-", "\\u002D").replace("/", "\\/"),
    "percent": "".join(f"%{ord(c):02X}" for c in KEY),
}


def _leaking(status: bytes, spelled: str) -> Answer:
    async def leak(asked: Asked) -> None:
        host = ":".join(map(str, asked.writer.get_extra_info("sockname")[:2])).encode()
        text = b"I got %s at http://%s/v1" % (spelled.encode(), host if status != b"200 OK" else b"somewhere")
        if status == b"200 OK":
            if not asked.streamed:
                await asked.send(whole(said("TEXT", asked.path).replace(b"TEXT", text)))
                return
            await asked.send(SSE)
            for piece in events(["TEXT"], asked.path):
                _, _, rest = piece.partition(b"\r\n")
                if b"TEXT" in rest:
                    data = rest.removesuffix(b"\r\n").replace(b"TEXT", text)
                    middle = data.index(spelled.encode()) + len(spelled) // 2
                    await asked.send(chunk(data[:middle]))
                    await asyncio.sleep(0.05)
                    await asked.send(chunk(data[middle:]))
                else:
                    await asked.send(piece)
            return
        body = b'{"error": {"message": "%s", "type": "x", "param": "%s", "code": null}}' % (text, spelled.encode())
        lines = (JSON_TYPE, b"X-Key: " + KEY.encode(), b"Retry-After: 1" if status[:3] in (b"429",) else b"X-A: b")
        await asked.send(whole(body, status, *lines))

    return leak


_SHORT = (b"200 OK", b"400 Bad Request", b"500 Oops")
for _name, _spelled in SPELLINGS.items() if LONG else list(SPELLINGS.items())[:2]:
    for _status in (*_SHORT, b"404 Not Found", b"401 No", b"429 Slow") if LONG else _SHORT:
        REPLIES[f"echo_{_name}_{_status[:3].decode()}"] = _leaking(_status, _spelled)


@answer
async def echo_in_head(asked: Asked) -> None:
    """The key in a header that is passed on."""
    await asked.send(whole(said("ok", asked.path), b"200 OK", b"Content-Type: application/json; key=" + KEY.encode()))


@answer
async def echo_in_stream_error(asked: Asked) -> None:
    """An error in the middle of a stream, with key and address."""
    await asked.send(SSE)
    await asked.send(next(events(["Hel"], asked.path)))
    error = {"error": {"message": f"boom {KEY}", "type": "error"}}
    await asked.send(chunk(b"data: " + json.dumps(error).encode() + b"\n\n") + b"0\r\n\r\n")


@answer
async def echo_split(asked: Asked) -> None:
    """The key over the pieces of a stream, a few characters each."""
    if not asked.streamed:
        await honest(asked)
        return
    await asked.send(SSE)
    for piece in events([KEY[i : i + 7] for i in range(0, len(KEY), 7)], asked.path):
        await asked.send(piece)


@answer
async def echo_in_call(asked: Asked) -> None:
    """The key in the arguments of a call, escaped twice."""
    arguments = '{"city": "' + SPELLINGS["json"] + '"}'
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    await asked.send(whole(said("", asked.path, [call])))
