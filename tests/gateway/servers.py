"""Upstreams whose answers are written byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

__all__ = ["SSE_HEAD", "Answering", "Said", "Talk", "chunk", "delta", "event", "raw_upstream", "whole"]

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def whole(body: bytes, status: bytes = b"200 OK", *lines: bytes) -> bytes:
    """Return a whole answer."""
    head = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *lines, b"Content-Length: %d" % len(body), b"", b""]
    return b"\r\n".join(head) + body


def chunk(data: bytes) -> bytes:
    """Return a chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str) -> bytes:
    """Return a streamed piece of text."""
    return chunk(b'data: {"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n' % text.encode())


def delta(fields: dict[str, Any]) -> bytes:
    """Return a streamed delta."""
    return chunk(b"data: %s\n\n" % json.dumps({"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}).encode())


@dataclass(frozen=True, slots=True)
class Said:
    """A reply that a server gives whole or, when asked for a stream, in pieces.

    calls: name and arguments, as text, of the calls that the server recognises; cuts: places to cut
    the text at, None to cut after every character.
    """

    text: str
    calls: tuple[tuple[str, str], ...] = ()
    cuts: tuple[int, ...] | None = ()

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        calls = [
            {"id": f"c{n}", "type": "function", "function": {"name": c[0], "arguments": c[1]}} for n, c in enumerate(self.calls)
        ]
        finish = "tool_calls" if calls else "stop"
        if not asked.get("stream"):
            message = {"role": "assistant", "content": self.text, "tool_calls": calls}
            body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}).encode()
            return whole(body, b"200 OK", b"Connection: close")
        events = [delta({"content": piece}) for piece in self._cut(self.text)]
        for number, call in enumerate(calls):
            head = {"name": call["function"]["name"], "arguments": ""}  # type: ignore[index]
            events.append(delta({"tool_calls": [{"index": number, "id": call["id"], "function": head}]}))
            events += [
                delta({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
                for piece in self._cut(self.calls[number][1])
            ]
        end = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}).encode()
        return SSE_HEAD + b"".join(events) + chunk(b"data: %s\n\n" % end) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"

    def _cut(self, text: str) -> list[str]:
        if self.cuts is None:
            return list(text)
        places = [0, *sorted(place for place in self.cuts if place < len(text)), len(text)]
        return [text[a:b] for a, b in pairwise(places) if a < b]


@runtime_checkable
class Answering(Protocol):
    """Says what the answer to a request is."""

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        ...


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read a request; return its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head, await reader.readexactly(length)


@asynccontextmanager
async def raw_upstream(
    talk: Talk | Answering, bodies: list[bytes] | None = None, heads: list[bytes] | None = None
) -> AsyncIterator[str]:
    """Run a server that handles each connection with `talk`, or answers it; yield its base URL.

    bodies, heads: collect those of requests.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head, body = await read_request(reader)
            if heads is not None:
                heads.append(head)
            if bodies is not None:
                bodies.append(body)
            if isinstance(talk, Answering):
                writer.write(talk.answer(json.loads(body)))
                await writer.drain()
            else:
                await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
