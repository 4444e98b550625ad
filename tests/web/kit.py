"""Both ends of a connection without a network: bytes go in piece by piece."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from selfopt.errors import EndpointError
from selfopt.web import Denied, HttpRequest, Reply, UpstreamReply, WebLimits, WebServer
from selfopt.web.connection import Answer, Connection, Service, error_body
from selfopt.web.turns import Turns
from selfopt.web.upstream import UpstreamConnection

__all__ = ["GIVEN_UP", "LIMITS", "FakeTransport", "Outcome", "Read", "Talk", "cut", "settled", "to_client", "to_server"]

LIMITS = WebLimits(max_head_bytes=8192, max_headers=40, max_body_bytes=100_000, max_held_bytes=1_000_000)
GIVEN_UP = "given up"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_CODE = re.compile(rb'"code":"(\w+)"')


class FakeTransport(asyncio.Transport):
    """Keeps what is written. backlog: bytes that the client has not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = self.closed = self.paused = False
        self.backlog = 0
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: Any) -> None:
        """Keep the data."""
        assert not self.ended, "written after the end"
        self.written += bytes(data)

    def write_eof(self) -> None:
        """Note the end."""
        self.ended = True

    def close(self) -> None:
        """Lose the connection in the next turn of the loop."""
        if not self.closed:
            self.closed = True
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def pause_reading(self) -> None:
        """Note the pause."""
        self.paused = True

    def resume_reading(self) -> None:
        """Note the end of the pause."""
        self.paused = False

    def get_write_buffer_size(self) -> int:
        """Return the backlog."""
        return self.backlog

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the default."""
        return default


@dataclass(frozen=True, slots=True)
class Read:
    """A request as it was read. headers: values of a repeated one are joined by commas."""

    method: bytes
    path: bytes
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class Outcome:
    """What became of a stream of bytes.

    refused: status and code of the answer to a bad message; answers: all statuses in order.
    """

    requests: list[Read] = field(default_factory=list)
    refused: tuple[int, str] | None = None
    answers: list[int] = field(default_factory=list)
    open: bool = True
    written: bytes = b""


class Talk:
    """A connection to our server, which answers 200 and keeps the requests. Needs a running loop.

    denies: paths that are denied; holds: an event that answers wait for.
    """

    def __init__(
        self,
        limits: WebLimits = LIMITS,
        server: WebServer | None = None,
        *,
        denies: Iterable[bytes] = (),
        holds: asyncio.Event | None = None,
        answer: bytes = b"ok",
    ) -> None:
        self.requests: list[Read] = []
        self._denies = frozenset(denies)
        self._holds = holds
        self._said = answer
        self.server = server or WebServer(self.service, limits)
        self.transport = FakeTransport()
        service: Service = self.service
        self.connection = Connection(self.server, service, limits, error_body)
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    def service(self, request: HttpRequest) -> Answer:
        """Return who answers."""
        if request.path in self._denies:
            raise Denied(401, [b"Content-Type: text/plain"], b"no")
        return self._answer

    async def _answer(self, request: HttpRequest, reply: Reply) -> None:
        self.requests.append(Read(request.method, request.path, request.query, dict(request.headers), bytes(request.body)))
        if self._holds is not None:
            await self._holds.wait()
        reply.send(200, [b"Content-Type: text/plain"], self._said)

    async def say(self, data: bytes) -> None:
        """Send bytes, and let the server act on them."""
        if not self.transport.closed:
            self.connection.data_received(data)
        await settled()

    def outcome(self) -> Outcome:
        """Return what became of it."""
        statuses = [int(status) for status in _STATUS.findall(self.transport.written)]
        code = _CODE.findall(self.transport.written)
        refused = (statuses[-1], code[-1].decode()) if statuses and statuses[-1] >= 400 and code else None
        return Outcome(
            self.requests, refused, statuses, not (self.transport.closed or self.transport.ended), self.transport.written
        )


async def settled(turns: int = 6) -> None:
    """Let the loop run for some turns."""
    for _ in range(turns):
        await asyncio.sleep(0)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut the stream at these places."""
    at = sorted({0, len(data), *(place for place in places if 0 < place < len(data))})
    return [data[a:b] for a, b in pairwise(at)] or [b""]


async def to_server(pieces: Iterable[bytes], limits: WebLimits = LIMITS) -> Outcome:
    """Send a client's bytes to our server; return what became of them."""
    talk = Talk(limits)
    for piece in pieces:
        if piece:
            await talk.say(piece)
    before = -1
    while before != len(talk.transport.written):
        before = len(talk.transport.written)
        await settled(12)
    found = talk.outcome()
    talk.transport.close()
    await settled()
    return found


async def to_client(pieces: Iterable[bytes], *, eof: bool) -> tuple[UpstreamReply | str, bool]:
    """Send a server's bytes to our client.

    Returns the answer or what is wrong with it, and whether the connection is kept.
    """
    loop = asyncio.get_running_loop()
    connection = UpstreamConnection(lambda gone: None, loop, Turns(loop))
    transport = FakeTransport()
    transport.protocol = connection
    connection.connection_made(transport)
    future = connection.ask(b"GET / HTTP/1.1\r\n\r\n", 60, 100_000)
    for piece in pieces:
        if piece and not transport.closed:
            connection.data_received(piece)
        while transport.paused and not transport.closed:
            await settled(1)
    kept = connection.kept
    if eof and not transport.closed:
        transport.close()
        await settled()
    if not future.done():
        connection.drop()
        return GIVEN_UP, False
    try:
        return future.result(), kept
    except EndpointError as error:
        return str(error), False
    finally:
        connection.drop()
