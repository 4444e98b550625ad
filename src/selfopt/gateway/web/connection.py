"""One connection of a client."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import httptools

from selfopt.gateway.options import WebLimits

from .reply import Reply, head
from .request import ONCE, HttpRequest

__all__ = ["Connection", "Handler", "Owner"]

log = logging.getLogger("selfopt.gateway")

Handler = Callable[[HttpRequest, Reply], Awaitable[None]]
MAX_PIPELINED = 8
LINGER_S = 5.0
ERROR_BODY = b'{"error":{"message":"%s","type":"invalid_request_error","param":null,"code":"%s"}}'
_JSON = b"Content-Type: application/json"


class Owner(Protocol):
    """The server that a connection belongs to."""

    closing: bool

    def opened(self, connection: Connection) -> bool:
        """Take it in; False when there are too many."""
        ...

    def closed(self, connection: Connection, task: asyncio.Task[None] | None) -> None:
        """It is gone."""
        ...


class _Refused(Exception):
    """A request that is not read any further."""

    def __init__(self, status: int, code: bytes, message: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Connection(asyncio.Protocol):
    """Reads requests and has them answered one after another by one task, which is cancelled when the client leaves.

    deadline: loop time after which `overdue` closes it; 0.0 while a request is being answered. stuck: the client does not take
    what was written.
    """

    transport: asyncio.Transport

    def __init__(self, owner: Owner, handler: Handler, limits: WebLimits, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._handler = handler
        self._limits = limits
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[HttpRequest] = deque()
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._when_writable: Callable[[], None] | None = None
        self._request: HttpRequest | None = None
        self._head_bytes = 0
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._in_head = False
        self._refused: _Refused | None = None
        self._paused_reading = False
        self.busy = False
        self.stuck = False
        self.deadline = 0.0

    # what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is here."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has transports of its own
        self.deadline = self._loop.time() + self._limits.idle_timeout_s
        if not self._owner.opened(self):
            self._refuse(_Refused(503, b"too_many_connections", b"too many connections; try again later"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: whatever is done for it stops."""
        self._owner.closed(self, self._task)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._refused is not None:
            return
        if self._in_head or self._request is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
            if (self._in_head or self._request is None) and self._head_bytes > self._limits.max_head_bytes:
                self._refuse(_head_too_large())
        except httptools.HttpParserCallbackError as error:
            refused = error.__context__
            if not isinstance(refused, _Refused):
                log.error("reading a request failed", exc_info=refused)
                refused = _Refused(400, b"bad_request", b"the request could not be read")
            self._refuse(refused)
        except httptools.HttpParserUpgrade:
            self._refuse(_Refused(400, b"no_upgrade", b"this server speaks HTTP/1.1 only"))
        except httptools.HttpParserError:
            self._refuse(_Refused(400, b"bad_http", b"this is no HTTP/1.1 request"))

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        self.stuck = True
        self.deadline = self._loop.time() + self._limits.write_timeout_s

    def resume_writing(self) -> None:
        """It does again."""
        self.stuck = False
        self.deadline = 0.0
        told, self._when_writable = self._when_writable, None
        if told is not None:
            told()

    def when_writable(self, told: Callable[[], None]) -> None:
        """Say once when the client takes what is written again."""
        self._when_writable = told

    @property
    def reading(self) -> bool:
        """Whether a request has begun and is not complete."""
        return self._request is not None

    # what the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        self._request = HttpRequest(self._loop.time())
        self._in_head = True
        self._header_bytes = 0
        self._body = []
        self._body_bytes = 0
        if not self.busy:
            self.deadline = self._request.at + self._limits.read_timeout_s

    def on_url(self, url: bytes) -> None:
        """Its target, perhaps in pieces."""
        assert self._request is not None
        self._request.path += url
        if len(self._request.path) > self._limits.max_head_bytes:
            raise _head_too_large()

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """One header."""
        request = self._request
        assert request is not None
        name = name.lower()
        self._header_bytes += len(name) + len(value or b"")
        if name in request.headers and name in ONCE:
            request.repeated = name
        request.headers[name] = value or b""
        if len(request.headers) > self._limits.max_headers or self._header_bytes > self._limits.max_head_bytes:
            raise _head_too_large()

    def on_headers_complete(self) -> None:
        """Its head is complete."""
        request = self._request
        assert request is not None
        self._in_head = False
        self._head_bytes = 0
        request.method = self._parser.get_method()
        request.http11 = self._parser.get_http_version() == "1.1"
        request.keep_alive = bool(self._parser.should_keep_alive())
        request.path, _, request.query = request.path.partition(b"?")
        length = request.headers.get(b"content-length", b"0")
        if length.isdigit() and (len(length) > 18 or int(length) > self._limits.max_body_bytes):
            raise self._body_too_large()
        if request.headers.get(b"expect", b"").lower() == b"100-continue" and request.http11:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """A piece of its body."""
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > self._limits.max_body_bytes:
            raise self._body_too_large()

    def on_message_complete(self) -> None:
        """It is complete."""
        request = self._request
        assert request is not None
        request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._request, self._body = None, []
        self._head_bytes = 0
        self._queue.append(request)
        if len(self._queue) >= MAX_PIPELINED and not self._paused_reading:
            self._paused_reading = True
            self.transport.pause_reading()
        if self._task is None:
            self._task = self._loop.create_task(self._answer_all())
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # answering

    async def _answer_all(self) -> None:
        while True:
            while not self._queue:
                self.deadline = self._loop.time() + self._limits.idle_timeout_s
                self._waiter = self._loop.create_future()
                await self._waiter
            request = self._queue.popleft()
            if self._paused_reading and not self._queue:
                self._paused_reading = False
                self.transport.resume_reading()
            self.busy, self.deadline = True, 0.0
            reply = Reply(self, request)
            reply.keep_alive = reply.keep_alive and not self._owner.closing
            try:
                await self._handler(request, reply)
            except Exception:
                log.exception("answering a request failed")
                self._answer_failure(reply)
            self.busy = False
            if not reply.ended:
                self.transport.abort()
                return
            if not reply.keep_alive or self._owner.closing:
                self.transport.close()
                return

    def _answer_failure(self, reply: Reply) -> None:
        if reply.status:
            reply.abort()
        else:
            body = ERROR_BODY.replace(b"invalid_request_error", b"server_error") % (b"an error inside the gateway", b"internal")
            reply.send(500, [_JSON], body)

    def _refuse(self, refused: _Refused) -> None:
        """Answer what cannot be read, then read and forget the rest for a while: closing at once would take the answer back
        from a client that is still sending. Where answers before it are still under way, there is none."""
        self._refused = refused
        if self.busy or self._queue:
            self.transport.abort()
            return
        body = ERROR_BODY % (refused.message, refused.code)
        lines = (_JSON, b"Content-Length: %d" % len(body), b"Connection: close")
        self.transport.write(head(refused.status, lines) + body)
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
            self.transport.write_eof()
        self.deadline = self._loop.time() + LINGER_S

    def _body_too_large(self) -> _Refused:
        return _Refused(413, b"body_too_large", b"the body is larger than %d bytes" % self._limits.max_body_bytes)

    def overdue(self, now: float) -> None:
        """Close when its time is up. Called every now and then."""
        if not self.deadline or now < self.deadline:
            return
        if self._request is not None and self._refused is None and not self.busy:
            self._refuse(_Refused(408, b"request_timeout", b"the request was not complete in time"))
        else:
            self.transport.abort()

    def shut(self) -> None:
        """Close now when nothing is being answered; else after the answer."""
        if not self.busy and not self._queue:
            self.transport.close()


def _head_too_large() -> _Refused:
    return _Refused(431, b"headers_too_large", b"the headers are too large or too many")
