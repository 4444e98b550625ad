"""The body of an answer that is passed on as it comes."""

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
    """A whole answer, of any status. headers: names in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class UpstreamStream:
    """The body of an answer as it comes. Pieces that come before `pipe` was called are kept."""

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
        """A piece came."""
        self.received += len(data)
        if self._sink is None:
            self._early.append(data)
        else:
            self._sink(data)

    def finish(self, error: EndpointError | None) -> None:
        """No more will come."""
        self.finished, self.error = True, error
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def pipe(self, sink: Callable[[bytes], None]) -> None:
        """Hand every piece to `sink` at once, those that came already first."""
        early, self._early = self._early, []
        self._sink = sink
        for data in early:
            sink(data)

    def hold(self, held: bool) -> None:
        """Read no more for now, or read on."""
        if not self.finished:  # a finished one has no say in its connection any more
            self.connection.hold(held)

    def go_on(self, pause_s: float, deadline: float) -> None:
        """From now on it may pause for so long, and last until that loop time."""
        self.connection.go_on(pause_s, deadline)

    async def wait(self) -> None:
        """Until the end; raises what ended it too early (EndpointError)."""
        if not self.finished:
            self._done = asyncio.get_running_loop().create_future()
            await self._done
        if self.error is not None:
            raise self.error

    async def drain(self, limit: int = 64_000) -> bytes:
        """The rest in one piece, at most about `limit` bytes of it; the connection is closed when there is more."""
        got = bytearray()

        def take(data: bytes) -> None:
            got.extend(data)
            if len(got) > limit and not self.finished:
                self.connection.drop()
                self.finish(None)

        self.pipe(take)
        await self.wait()
        return bytes(got[:limit])
