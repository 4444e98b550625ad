"""Reads the requests of one client, and has each answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from .grammar import CHUNKED
from .limits import BadMessage, Denied, WebLimits
from .reader import HttpRequest, RequestReader
from .reply import Reply, head
from .turns import PROMPT

if TYPE_CHECKING:
    from .server import WebServer

log = logging.getLogger("selfopt.web")

Answer = Callable[[HttpRequest, Reply], Awaitable[None]]
Service = Callable[[HttpRequest], Answer]
"""Says by its head who answers a request, or raises Denied. Never waits."""
Told = Callable[[bytes, BadMessage], bytes]
"""Writes the body of an error for a request that cannot be read. Its path is empty where that is not known."""

LINGER_S = 5.0
MAX_AHEAD = 65_536
"""So many bytes of later requests are kept while one is being answered."""
READ_ANYWAY = 65_536
"""A denied body up to this size is read and dropped; for a larger one the connection is closed."""
_JSON = b"Content-Type: application/json"
_RETRY = b"Retry-After: 1"


class Connection(asyncio.Protocol):
    """Reads one request at a time and has it answered by one task.

    The task is cancelled when the client leaves. What comes meanwhile is kept unread.

    Attributes:
        busy: a request is being answered.
        over: nothing more is answered.
        stuck: the client does not read what was written.
        deadline: loop time after which `overdue` closes it; 0.0 while a request is being answered.
        moved_at: loop time at which the client last sent or read something.
    """

    transport: asyncio.Transport

    def __init__(self, owner: WebServer, service: Service, limits: WebLimits, told: Told) -> None:
        self._owner = owner
        self._service = service
        self._limits = limits
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._when_writable: Callable[[], None] | None = None
        self._reader = RequestReader(limits, self._admit, self._count)
        self._ahead = bytearray()
        self._answer: Answer | None = None
        self._ready = False
        self._held = self._untaken = 0
        self._drained: asyncio.Future[None] | None = None
        self._unread = False
        self._paused_reading = False
        self._waits_its_turn = False
        self.busy = False
        self.over = False
        self.stuck = False
        self.deadline = 0.0
        self.moved_at = 0.0

    # what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the client in, or refuse it."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop has transports of its own
        self.moved_at = self._loop.time()
        self.deadline = self.moved_at + self._limits.idle_timeout_s
        if not self._owner.opened(self):
            self._refuse(BadMessage(503, b"too_many_connections", b"too many connections; try again later"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: stop what is done for it."""
        self._owner.closed(self, self._task)
        self._reader.begin()
        self._let_go_untaken()
        if self._task is None or self._task.done() or self._ready:  # a task that never began does not do it
            self._let_go()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests."""
        if self.over:
            if len(data) > PROMPT and not self._waits_its_turn:  # dropping bytes takes time too
                self._waits_its_turn = True
                self.transport.pause_reading()
                self._owner.turn().add_done_callback(self._read_on)
            return
        if self.busy:
            self._keep(data)
        elif len(data) > PROMPT and self._owner.later(self, data):
            self._waits_its_turn = True
            self.transport.pause_reading()
        else:
            self._read(data)

    def _read_on(self, turn: asyncio.Future[None]) -> None:
        self._waits_its_turn = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def take(self, data: bytes) -> None:
        """Read bytes whose turn has come."""
        self._waits_its_turn = False
        if self.over or self.transport.is_closing():
            return
        self._read(data)
        if not self._paused_reading and not self.transport.is_closing():
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client stopped reading its answer."""
        self.stuck = True
        self.moved_at = self._loop.time()
        if not self.over:
            self.deadline = self.moved_at + self._limits.write_timeout_s
        waiting = self.transport.get_write_buffer_size()
        if self._owner.hold(self, waiting):
            self._untaken = waiting

    def resume_writing(self) -> None:
        """The client reads again."""
        self.stuck = False
        if not self.over:
            self.deadline = 0.0
        self._let_go_untaken()
        told, self._when_writable = self._when_writable, None
        if told is not None:
            told()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def when_writable(self, told: Callable[[], None]) -> None:
        """Call `told` once when the client reads again."""
        self._when_writable = told

    @property
    def reading(self) -> bool:
        """Whether a request has begun but is not complete."""
        return self._reader.request is not None and not self.busy

    @property
    def holds(self) -> bool:
        """Whether bytes are counted for it."""
        return bool(self._held or self._untaken)

    def give_up(self) -> None:
        """Close at once to make room for others."""
        self._let_go_untaken()
        if not self.busy:
            self._let_go()
        self.transport.abort()

    # reading

    def _read(self, data: bytes) -> None:
        reader, new = self._reader, self._reader.request is None
        self.moved_at = now = self._loop.time()
        try:
            complete = reader.read(data, now)
        except BadMessage as bad:
            self._refuse(bad)
            return
        except Exception:
            log.exception("reading a request failed")
            self._refuse(BadMessage(500, b"internal", b"an error inside the server"))
            return
        if new and reader.request is not None:
            self._owner.waits(self, False)
            self.deadline = now + self._limits.read_timeout_s
        if complete:
            if reader.rest:
                self._keep(reader.rest)
            self.busy, self.deadline, self._ready = True, 0.0, True
            if self._task is None:
                self._task = self._loop.create_task(self._answer_all())
            elif self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        elif reader.asks:
            reader.asks = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _keep(self, data: bytes) -> None:
        """Keep bytes of later requests."""
        self._ahead += data
        if len(self._ahead) > MAX_AHEAD:
            if not self._count(len(data)):
                self.transport.abort()
            elif not self._paused_reading:
                self._paused_reading = True
                self.transport.pause_reading()

    def _admit(self, request: HttpRequest, length: int) -> bool | None:
        """Decide what to do with the body, as `RequestReader` asks for."""
        try:
            self._answer = self._service(request)
        except Denied as denied:
            self._answer = partial(_deny, denied)
            if length > READ_ANYWAY or length == CHUNKED or (length and request.expects):
                self._unread, request.keep_alive = True, False
                return None
            return False
        return True

    def _count(self, more: int) -> bool:
        counted = self._owner.hold(self, more)
        self._held += more if counted else 0
        return counted

    def _let_go(self) -> None:
        if self._held:
            self._owner.hold(self, -self._held)
            self._held = 0

    def _let_go_untaken(self) -> None:
        if self._untaken:
            self._owner.hold(self, -self._untaken)
            self._untaken = 0

    # answering

    async def _answer_all(self) -> None:
        try:
            while True:
                if not self._ready:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                elif await self._answer_one():
                    await self._go_on()
                else:
                    return
        finally:
            self._let_go()

    async def _answer_one(self) -> bool:
        """Answer the request; return whether another may follow."""
        request, answer = self._reader.request, self._answer
        assert request is not None
        assert answer is not None
        self._ready = False
        reply = Reply(self, request)
        reply.keep_alive = reply.keep_alive and not self._owner.closing
        try:
            await answer(request, reply)
        except Exception:
            log.exception("answering a request failed")
            if reply.status:
                reply.abort()
            else:
                reply.keep_alive = False
                broken = BadMessage(500, b"internal", b"an error inside the server")
                reply.send(500, [_JSON], self._told(request.path, broken))
        self._reader.begin()
        self._answer = None
        if not reply.ended:
            self.transport.abort()
            return False
        if self._unread:
            self._linger()
            return False
        if not reply.keep_alive or self._owner.closing:
            self.over = True
            self.deadline = self._loop.time() + self._limits.write_timeout_s
            self.transport.close()
            return False
        return True

    async def _go_on(self) -> None:
        """Once the client read the answer, read what came meanwhile."""
        if self.stuck:
            self._drained = self._loop.create_future()
            await self._drained
            self._drained = None
            if self._owner.closing:
                self.transport.close()
        self._let_go()
        if self._ahead:
            await self._owner.turn()  # others first
            ahead, self._ahead = bytes(self._ahead), bytearray()
            self.busy = False
            if self._paused_reading:
                self._paused_reading = False
                self.transport.resume_reading()
            self._read(ahead)
        if self._reader.request is None and not self.over:
            self.busy = False
            self.deadline = self._loop.time() + self._limits.idle_timeout_s
            self._owner.waits(self, True)

    # ending

    def _refuse(self, bad: BadMessage) -> None:
        """Answer a message that cannot be read, after all answers before it."""
        request = self._reader.request
        body = self._told(request.path if request is not None else b"", bad)
        lines = [_JSON, b"Content-Length: %d" % len(body), b"Connection: close"]
        if bad.status == 503:
            lines.append(_RETRY)
        self.transport.write(head(bad.status, lines) + body)
        self._linger()

    def _linger(self) -> None:
        """Read and drop for a while. A client that still sends would lose the answer otherwise."""
        self.over = True
        self._owner.waits(self, False)
        self._reader.begin()
        self._ahead = bytearray()
        self._let_go()
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
            self.transport.write_eof()
        if self._paused_reading or self._waits_its_turn:
            self.transport.resume_reading()
        self.deadline = self._loop.time() + LINGER_S

    def overdue(self, now: float) -> None:
        """Close if its deadline has passed. Called regularly."""
        if not self.deadline or now < self.deadline:
            return
        if self.reading and not self.over:
            self._refuse(BadMessage(408, b"request_timeout", b"the request was not complete in time"))
        else:
            self.transport.abort()

    def shut(self) -> None:
        """Close now, or after the answer under way."""
        if not self.busy:
            self.transport.close()


async def _deny(denied: Denied, request: HttpRequest, reply: Reply) -> None:
    reply.send(denied.status, denied.headers, denied.body)


def error_body(path: bytes, bad: BadMessage) -> bytes:
    """The same form on every path: see `Told`."""
    kind = b"server_error" if bad.status >= 500 else b"invalid_request_error"
    return b'{"error":{"message":"%s","type":"%s","param":null,"code":"%s"}}' % (bad.message, kind, bad.code)
