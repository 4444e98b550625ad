"""Answers of servers: whole ones, and bodies that are handed on as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfopt.errors import EndpointError

if TYPE_CHECKING:
    from .upstream import UpstreamConnection


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """An answer of any status. headers: names in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class UpstreamStream:
    """The body of an answer as it comes. Pieces are kept until `pipe` is called."""

    __slots__ = ("_done", "_early", "_sink", "connection", "error", "finished", "received")

    def __init__(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self._early: list[bytes] = []
        self._sink: Callable[[bytes], None] | None = None
        self._done: asyncio.Future[None] | None = None
        self.finished = False
        self.error: EndpointError | None = None
        self.received = 0

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self.received += len(data)
        if self._sink is None:
            self._early.append(data)
        else:
            self._sink(data)

    def finish(self, error: EndpointError | None) -> None:
        """End the stream. error: what ended it too early."""
        self.finished, self.error = True, error
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def pipe(self, sink: Callable[[bytes], None]) -> None:
        """Hand every piece to `sink`, beginning with those that were kept."""
        early, self._early = self._early, []
        self._sink = sink
        for data in early:
            sink(data)

    def hold(self, held: bool) -> None:
        """Stop reading for now, or read on."""
        if not self.finished:  # its connection may carry another request by now
            self.connection.hold(held)

    def cut(self) -> None:
        """End it here: close the connection, so that the server stops."""
        if not self.finished:
            self.connection.drop()
            self.finish(None)

    def go_on(self, pause_s: float, deadline: float) -> None:
        """Bound each pause, and the end by a loop time, instead of the whole answer."""
        self.connection.go_on(pause_s, deadline)

    async def wait(self) -> None:
        """Wait for the end. Raises EndpointError if it came too early."""
        if not self.finished:
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        if self.error is not None:
            raise self.error

    async def drain(self, limit: int = 64_000) -> bytes:
        """Return the rest, up to `limit` bytes. Closes the connection if there is more."""
        got = bytearray()

        def take(data: bytes) -> None:
            got.extend(data)
            if len(got) > limit:
                self.cut()

        self.pipe(take)
        await self.wait()
        return bytes(got[:limit])
