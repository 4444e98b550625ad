"""A kept connection to a server. It carries one request at a time."""

from __future__ import annotations

import asyncio
import math
import select
from collections.abc import Callable
from io import BytesIO
from typing import cast

from selfopt.errors import EndpointError, EndpointFault

from .chunked import Chunked
from .grammar import CHUNKED, UNTIL_CLOSE, fields_of, has_bare_lf, response_length, status_line, stays_open
from .limits import BadMessage
from .stream import UpstreamReply, UpstreamStream
from .turns import PROMPT, Turns

MAX_HEAD_BYTES = 65_536
MAX_HEADERS = 200
MAX_INTERIM = 16
TURN_BYTES = 32_768
"""So much is read in one turn. Looking for a key can take a microsecond a byte."""
_BEGINNING = b"HTTP/1."
_CLOSED = "the connection was closed in mid-reply"


class StaleError(Exception):
    """The server had already closed a kept connection when a request was sent on it."""


class UpstreamConnection(asyncio.Protocol):
    """A connection of the pool.

    Attributes:
        used: how many requests it has carried.
        idle_at: loop time at which it became idle.
    """

    transport: asyncio.Transport

    def __init__(self, lost: Callable[[UpstreamConnection], None], loop: asyncio.AbstractEventLoop, turns: Turns) -> None:
        """lost: called when the connection is gone; turns: shared by those that read in this loop."""
        self._lost = lost
        self._loop = loop
        self._turns = turns
        self._unread = b""
        self._future: asyncio.Future[UpstreamReply] | None = None
        self._stream: UpstreamStream | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None  # one for the whole answers of many requests
        self._alarm_at = self._due = math.inf
        self._pause_s = self._deadline = self._last_at = 0.0
        self._held = False
        self._complete = True
        self._last = False
        self._poll: select.poll | None = None
        self.closed = False
        self.used = 0
        self.idle_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has transports of its own
        if transport.get_extra_info("ssl_object") is None:  # with TLS, bytes may come that are no answer
            link = transport.get_extra_info("socket")
            if link is not None:
                self._poll = select.poll()
                self._poll.register(link.fileno(), select.POLLIN)

    @property
    def kept(self) -> bool:
        """Whether it can carry another request."""
        return self._complete and not self.closed and not self._last and not self.transport.is_closing()

    @property
    def quiet(self) -> bool:
        """Whether the socket has nothing to read: neither its end, nor bytes nobody asked for."""
        return self._poll is None or not self._poll.poll(0)

    def ask(self, payload: bytes, timeout_s: float, max_bytes: int) -> asyncio.Future[UpstreamReply]:
        """Send a request.

        The future gets the whole answer, EndpointError or StaleError. Whoever gives it up calls
        `drop`.
        """
        self._future = future = self._loop.create_future()
        self._status, self._interim, self._left, self._received = 0, 0, 0, 0
        self._headers: dict[bytes, bytes] = {}
        self._head, self._body = bytearray(), BytesIO()
        self._chunked: Chunked | None = None
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._complete, self._begun = False, False
        self.used += 1
        self._due = self._loop.time() + timeout_s
        if self._alarm is None or self._due < self._alarm_at:
            self._set_alarm()
        self.transport.write(payload)
        return future

    def open(self, payload: bytes, timeout_s: float, max_bytes: int) -> tuple[asyncio.Future[UpstreamReply], UpstreamStream]:
        """Send a request; the future gets the head with an empty body, the stream the body.

        On another status than 200, `drain` the stream.
        """
        self._stream = stream = UpstreamStream(self)
        return self.ask(payload, timeout_s, max_bytes), stream

    def drop(self) -> None:
        """Give up the request, and close."""
        self._end_timer()
        self.closed = True
        self._future = self._stream = None
        self.transport.abort()

    # what the transport tells

    def data_received(self, data: bytes) -> None:
        """Read bytes of an answer, many of them in their turn."""
        if self._complete:
            self.transport.abort()  # unasked bytes could be taken for the next answer
            return
        self._begun = True
        if len(data) <= PROMPT:
            self._read(data)
            return
        self._unread = data
        if self._turns.first():
            self._read_on()
        else:
            self.transport.pause_reading()
            self._turns.later(self._read_on)

    def _read_on(self) -> None:
        """Read some of what came, and the rest in later turns."""
        if self.closed:
            return
        data, self._unread = self._unread[:TURN_BYTES], self._unread[TURN_BYTES:]
        try:
            self._read(data)
        except Exception:
            self._fail("protocol", _CLOSED)  # a transport closes too when what it calls fails
            raise
        if self._unread and self._complete:
            self.transport.abort()
        elif self.transport.is_closing():
            return
        elif self._unread:
            self.transport.pause_reading()
            self._turns.later(self._read_on)
        elif not self._held:
            self.transport.resume_reading()

    def _read(self, data: bytes) -> None:
        try:
            if self._status:
                self._read_body(data)
            else:
                self._read_head(data)
        except EndpointError as error:
            self._fail_with(error)
        except BadMessage as bad:
            self._fail("protocol", f"its answer is not HTTP: {bad}")

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request, which the connection did not outlive."""
        if self._unread and not self.closed:
            data, self._unread = self._unread, b""
            self._read(data)
        self.closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        if not self._complete:
            if self._status and self._left == UNTIL_CLOSE and exc is None:
                self._finish()
            elif self.used > 1 and not self._begun and self._future is not None and not self._future.done():
                self._end_timer()
                self._future.set_exception(StaleError())
                self._future = None
            else:
                self._fail("protocol", _CLOSED if self._status else "the connection was closed without a reply")
        self._lost(self)

    # reading

    def _read_head(self, came: bytes) -> None:
        data: bytes | bytearray = came
        while True:
            scanned = len(self._head)
            if scanned:
                self._head += data
                data = self._head
            end = data.find(b"\r\n\r\n", max(0, scanned - 3))
            if max(end, len(data) if end < 0 else 0) > MAX_HEAD_BYTES:
                raise EndpointError("the headers of its answer are too large", kind="protocol")
            if not data.startswith(_BEGINNING[: len(data)]) or (end < 0 and has_bare_lf(data, scanned)):
                raise EndpointError("its answer is not HTTP", kind="protocol")
            if end < 0:
                self._head = data if isinstance(data, bytearray) else bytearray(data)
                return
            line, _, block = bytes(data[: end + 2]).partition(b"\r\n")
            status, http11 = status_line(line)
            headers, repeated = fields_of(block, MAX_HEADERS)
            data, self._head = bytes(data[end + 4 :]), bytearray()
            if status >= 200:
                break
            self._interim += 1
            if status == 101 or self._interim > MAX_INTERIM:
                raise EndpointError("it wants another protocol than HTTP/1.1", kind="protocol")
            if not data:
                return
        length = response_length(status, headers, repeated, http11)
        self._status, self._headers, self._left = status, headers, length
        self._last = length == UNTIL_CLOSE or not stays_open(headers, http11)
        self._chunked = Chunked() if length == CHUNKED else None
        if self._stream is not None and self._future is not None and not self._future.done():
            self._future.set_result(UpstreamReply(status, headers, b""))
        if data or not length:
            self._read_body(bytes(data))

    def _read_body(self, data: bytes) -> None:
        if self._chunked is not None:
            piece, end = self._chunked.feed(data)
        elif self._left == UNTIL_CLOSE or len(data) < self._left:
            piece, end = data, -1
        else:
            piece, end = (data if len(data) == self._left else data[: self._left]), self._left
        if self._left > 0:
            self._left -= len(piece)
        self._take(piece)
        if end >= 0 and not self._complete:
            self._last = self._last or end < len(data)  # unasked bytes must not become the next answer
            self._finish(piece if self._received == len(piece) else None)

    def _take(self, piece: bytes) -> None:
        if not piece:
            return
        self._received += len(piece)
        if self._received > self._max_bytes:
            said = f"reply is larger than {self._max_bytes} bytes"
            raise EndpointError(said, kind="protocol", status=self._status, final=True).blame("content")
        if self._stream is not None:
            self._last_at = self._loop.time()
            self._stream.feed(piece)
        elif self._received > len(piece) or self._left:
            self._body.write(piece)

    def _finish(self, body: bytes | None = None) -> None:
        """Hand the answer over. body: all of it, where it came in one piece."""
        self.hold(False)  # the next answer is read whether or not the client took this one
        self._complete = True
        self._end_timer()
        future, self._future = self._future, None
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.finish(None)
        elif future is not None and not future.done():
            future.set_result(UpstreamReply(self._status, self._headers, self._body.getvalue() if body is None else body))
        self._body = BytesIO()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._due
        self._alarm = self._loop.call_at(self._due, self._ring)

    def _ring(self) -> None:
        """Fail if the answer is late. An alarm of an earlier request that was answered is set anew."""
        self._alarm = None
        if self._complete or self._due == math.inf:
            return
        if self._loop.time() < self._due:
            self._set_alarm()
        else:
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
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def go_on(self, pause_s: float, deadline: float) -> None:
        """Bound each pause, and the end by a loop time, instead of the whole answer."""
        if not self._complete:
            self._end_timer()
            self._pause_s, self._deadline = pause_s, deadline
            self._last_at = self._loop.time()
            self._timer = self._loop.call_at(min(self._last_at + pause_s, deadline), self._look)

    def _look(self) -> None:
        """Fail if nothing came in time. One timer serves any number of pieces."""
        now = self._loop.time()
        if now >= self._deadline:
            self._timer = None
            late = "the reply was not complete by the request's deadline"
            self._fail_with(EndpointError(late, kind="timeout", status=self._status or None).blame("content"))
        elif now >= self._last_at + self._pause_s and not self._held:
            self._timer = None
            self._fail("timeout", f"nothing came for {self._pause_s:g} s")
        else:
            at = now + self._pause_s if self._held else self._last_at + self._pause_s
            self._timer = self._loop.call_at(min(at, self._deadline), self._look)

    def hold(self, held: bool) -> None:
        """Stop reading while the client does not read, or read on."""
        if self._complete or self.closed or held == self._held:
            return
        self._held = held
        if held:
            self.transport.pause_reading()
        else:
            self._last_at = self._loop.time()
            if not self._unread and not self.transport.is_closing():
                self.transport.resume_reading()
