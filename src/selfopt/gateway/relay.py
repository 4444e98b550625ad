"""Hands a stream on piece by piece, no faster than the client reads."""

from __future__ import annotations

import asyncio

from selfopt.dialects.clients import Counted
from selfopt.home import Redactor
from selfopt.web import UpstreamStream

from .deltas import DeltaRedactors
from .live_request import LiveRequest
from .watched_stream import WatchedStream

TAIL_BYTES = 4096
FIRST_BYTES = 4096
EVENTS = b"content-type: text/event-stream"
EVENT = b"data:"


class Relay:
    """Hands the bytes of one stream on."""

    __slots__ = (
        "_begun",
        "_clean",
        "_deltas",
        "_exchange",
        "_first",
        "_held",
        "_lines",
        "_loop",
        "_stream",
        "_tail",
        "_timer",
        "_watch",
    )

    def __init__(
        self,
        exchange: LiveRequest,
        lines: list[bytes],
        stream: UpstreamStream,
        deltas: DeltaRedactors,
        secrets: Redactor,
        watch: WatchedStream | None,
    ) -> None:
        """lines: the headers of the answer; watch: reads calls in the stream, where that is wanted."""
        self._exchange = exchange
        self._lines = lines
        self._stream = stream
        self._deltas = deltas
        self._clean = secrets.stream()
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._first = self._tail = b""
        self._held = self._begun = False

    def take(self, data: bytes) -> None:
        """Hand a piece on."""
        if not self._begun:
            self._begun = True
            self._stream.go_on(self._exchange.timeout_s, self._exchange.deadline)
        watch = self._watch
        if watch is not None:
            if watch.cut is not None:
                return
            data = watch.feed(data)
            if self._timer is None and (due := watch.due) is not None:
                self._timer = self._loop.call_at(due, self._late)
        held = self._exchange.ticket.held
        if held.times:
            held.pieces += data.count(EVENT)
        self._put(self._clean.feed(self._deltas.feed(data)))
        if watch is not None and watch.cut is not None:
            self._stream.cut()

    def _put(self, data: bytes) -> None:
        reply = self._exchange.reply
        if not data and self._watch is not None:
            return
        if not reply.status:
            self._begin()
        reply.write(data)
        if len(self._first) < FIRST_BYTES:
            self._first += data[:FIRST_BYTES]
        self._tail = data[-TAIL_BYTES:] if len(data) >= TAIL_BYTES else (self._tail + data)[-TAIL_BYTES:]
        if not self._held and reply.stuck:
            self._held = True
            self._stream.hold(True)
            reply.when_writable(self._go_on)

    def _begin(self) -> None:
        lines, watch = self._lines, self._watch
        if watch is not None:
            read = [b"x-selfopt-read: text"] if watch.read else [b"x-selfopt-read: mended"] if watch.mended else []
            lines = [*lines, *read, *([b"x-selfopt-cut: %s" % watch.cut.encode()] if watch.cut is not None else [])]
            if watch.reframed:
                lines = [EVENTS, *(line for line in lines if not line.startswith(b"content-type:"))]
        self._exchange.reply.begin(200, lines)

    def _go_on(self) -> None:
        self._held = False
        self._stream.hold(False)

    def _late(self) -> None:
        """Let go what has waited too long."""
        self._timer = None
        due = self._watch.due if self._watch is not None else None
        if due is None or self._watch is None:
            return
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._late)
        else:
            self._put(self._clean.feed(self._deltas.feed(self._watch.let_go())))

    @property
    def said_all(self) -> bool:
        """Whether the last event was handed on."""
        return self._exchange.dialect.passed.ended(self._tail)

    def break_off(self) -> None:
        """Send what was held back in a stream that ended too early."""
        self._finish(self._watch.broken_off() if self._watch is not None else b"")

    async def end(self) -> Counted | None:
        """End the answer after a complete stream. Returns the token counts, if it has any."""
        self._finish(await self._watch.end() if self._watch is not None else b"")
        self._exchange.reply.end()
        return self._exchange.dialect.passed.counted_in(self._first, self._tail)

    def _finish(self, rest: bytes) -> None:
        reply, ticket = self._exchange.reply, self._exchange.ticket
        if self._watch is not None:
            ticket.read_calls, ticket.mended_calls, ticket.cut = self._watch.read, self._watch.mended, self._watch.cut
        if not reply.status:
            self._begin()
        rest = self._clean.feed(self._deltas.feed(rest) + self._deltas.end()) + self._clean.end()
        reply.write(rest)
        self._tail = (self._tail + rest)[-TAIL_BYTES:]

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
