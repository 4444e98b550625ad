"""One kept connection to a server: a request at a time, its answer whole or in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from selfopt.errors import EndpointError, EndpointFault

__all__ = ["UpstreamConnection", "UpstreamReply", "UpstreamStream"]

MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 200
_CLOSED = "the connection was closed in mid-reply"


@dataclass(frozen=True, slots=True)
class UpstreamReply:
    """A whole answer, of any status. headers: names in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class StaleError(Exception):
    """A kept connection was closed before a byte of the answer came: the server had given it up already."""


class UpstreamConnection(asyncio.Protocol):
    """A connection of the pool. free: called when it can take another request; lost: when it is gone.

    used: how many requests it has carried; idle_at: loop time since which it waits.
    """

    transport: asyncio.Transport

    def __init__(self, lost: Callable[[UpstreamConnection], None], loop: asyncio.AbstractEventLoop) -> None:
        self._lost = lost
        self._loop = loop
        self._parser = httptools.HttpResponseParser(self)
        self._future: asyncio.Future[UpstreamReply] | None = None
        self._stream: UpstreamStream | None = None
        self._whole = True
        self._timer: asyncio.TimerHandle | None = None
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._chunks: list[bytes] = []
        self._received = 0
        self._max_bytes = 0
        self._timeout_s = 0.0
        self._pause_s = self._deadline = self._last_at = 0.0
        self._held = False
        self._complete = True
        self._begun = False
        self._until_close = False
        self.closed = False
        self.used = 0
        self.idle_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has transports of its own

    @property
    def reusable(self) -> bool:
        """Whether another request can go over it."""
        return self._complete and not self.closed and not self._until_close and not self.transport.is_closing()

    def ask(self, payload: bytes, timeout_s: float, max_bytes: int) -> asyncio.Future[UpstreamReply]:
        """Send a request; the future has its whole answer, or EndpointError. Cancelling closes the connection (`drop`)."""
        self._start(payload, timeout_s, max_bytes, whole=True)
        assert self._future is not None
        return self._future

    def open(self, payload: bytes, timeout_s: float, max_bytes: int) -> tuple[asyncio.Future[UpstreamReply], UpstreamStream]:
        """Send a request; the future has the head alone (with an empty body), the stream what follows. Whoever is told of
        another status than 200 had better `drain` the stream."""
        self._stream = UpstreamStream(self)
        self._start(payload, timeout_s, max_bytes, whole=False)
        assert self._future is not None
        return self._future, self._stream

    def _start(self, payload: bytes, timeout_s: float, max_bytes: int, *, whole: bool) -> None:
        self._future = self._loop.create_future()
        self._whole = whole
        self._status, self._headers, self._header_bytes = 0, {}, 0
        self._chunks, self._received = [], 0
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._complete, self._begun = False, False
        self.used += 1
        self._timer = self._loop.call_later(timeout_s, self._timed_out)
        self.transport.write(payload)

    def drop(self) -> None:
        """Give the request up and close."""
        self._end_timer()
        self.closed = True
        self._future = self._stream = None
        self.transport.abort()

    # what the transport tells

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        if self._complete:
            self.transport.abort()  # nobody asked: whatever follows could be taken for the next answer
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("protocol", "it wants another protocol than HTTP")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, EndpointError):
                self._fail_with(cause)
            else:
                self._fail("protocol", f"its answer could not be read: {cause}")
        except httptools.HttpParserError:
            self._fail("protocol", "no HTTP reply")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self.closed = True
        if not self._complete:
            if self._until_close and exc is None:
                self._finish()
            elif self.used > 1 and not self._begun and self._future is not None and not self._future.done():
                self._end_timer()
                self._future.set_exception(StaleError())
                self._future = None
            else:
                self._fail("protocol", _CLOSED if self._status else "the connection was closed without a reply")
        self._lost(self)

    # what the parser tells

    def on_message_begin(self) -> None:
        """An answer begins; after an interim one, the real one."""
        self._headers, self._header_bytes = {}, 0

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """One header."""
        self._header_bytes += len(name) + len(value or b"")
        self._headers[name.lower()] = value or b""
        if len(self._headers) > MAX_HEADERS or self._header_bytes > MAX_HEAD_BYTES:
            raise EndpointError("the headers of its answer are too large", kind="protocol")

    def on_headers_complete(self) -> None:
        """The head is complete."""
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._status = status
        framed = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        self._until_close = not framed or not self._parser.should_keep_alive()
        if not self._whole and self._future is not None and not self._future.done():
            self._future.set_result(UpstreamReply(status, self._headers, b""))

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._received += len(data)
        if self._received > self._max_bytes:
            raise EndpointError(f"reply is larger than {self._max_bytes} bytes", kind="protocol", status=self._status, final=True)
        if self._stream is not None:
            self._last_at = self._loop.time()
            self._stream.feed(data)
        else:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The answer is complete."""
        if self._status:
            self._finish()

    def _finish(self) -> None:
        self._complete = True
        self._end_timer()
        future, self._future = self._future, None
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.finish(None)
        elif future is not None and not future.done():
            body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
            future.set_result(UpstreamReply(self._status, self._headers, body))
        self._chunks = []

    def _timed_out(self) -> None:
        self._timer = None
        self._fail("timeout", f"no complete reply within {self._timeout_s:g} s")

    def _fail(self, kind: EndpointFault, what: str) -> None:
        self._fail_with(EndpointError(what, kind=kind, status=self._status or None))

    def _fail_with(self, error: EndpointError) -> None:
        self._end_timer()
        self.closed = True
        self._complete = True
        future, self._future = self._future, None
        stream, self._stream = self._stream, None
        if future is not None and not future.done():
            future.set_exception(error)
        elif stream is not None:
            stream.finish(error)
        self.transport.abort()

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def go_on(self, pause_s: float, deadline: float) -> None:
        """From now on an answer that comes in pieces may pause for so long, and last until that loop time."""
        if not self._complete:
            self._end_timer()
            self._pause_s, self._deadline = pause_s, deadline
            self._last_at = self._loop.time()
            self._timer = self._loop.call_at(min(self._last_at + pause_s, deadline), self._look)

    def _look(self) -> None:
        """Whether anything came since; one timer serves any number of pieces."""
        now = self._loop.time()
        if now >= self._deadline:
            self._timer = None
            self._fail("timeout", "the reply was not complete by the request's deadline")
        elif now >= self._last_at + self._pause_s and not self._held:
            self._timer = None
            self._fail("timeout", f"nothing came for {self._pause_s:g} s")
        else:
            at = now + self._pause_s if self._held else self._last_at + self._pause_s
            self._timer = self._loop.call_at(min(at, self._deadline), self._look)

    def hold(self, held: bool) -> None:
        """Read no more for now, since the client does not; or read on."""
        if self._complete or self.closed or held == self._held:
            return
        self._held = held
        if held:
            self.transport.pause_reading()
        else:
            self._last_at = self._loop.time()
            self.transport.resume_reading()


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

    def pause(self) -> None:
        """Read no more for now."""
        if not self.finished:
            self.connection.hold(True)

    def resume(self) -> None:
        """Read on."""
        if not self.finished:
            self.connection.hold(False)

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
        got: list[bytes] = []

        def take(data: bytes) -> None:
            got.append(data)
            if sum(map(len, got)) > limit:
                self.connection.drop()
                self.finish(None)

        self.pipe(take)
        await self.wait()
        return b"".join(got)[:limit]
