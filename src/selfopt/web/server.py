"""Listening, counting connections, looking after the slow ones, and ending in peace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from selfopt.errors import SettingsError

from .connection import Connection, Service
from .limits import WebLimits
from .memory import Held, keep_large_blocks_apart

__all__ = ["WebServer", "serve_web"]

SWEEP_S = 1.0
STALLED_S = 1.0
"""A client that neither sent nor took anything for so long, in the midst of a request or an answer, makes room for others under pressure."""
CROWD = 200
"""When so many connections have ended, memory is given back."""
LEAVING_S = 5.0
BACKLOG = 1024


class WebServer:
    """A listening server. connections: those that are open; closing: no new ones are taken; held: what clients' bodies and untaken answers come to.

    Under pressure strangers make room: the connection that waited longest without a request, then the one that stalled longest.
    """

    def __init__(self, service: Service, limits: WebLimits) -> None:
        self._service = service
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._waiting: dict[Connection, None] = {}
        self._ended = 0
        self.connections: set[Connection] = set()
        self.held = Held(limits.max_held_bytes)
        self.closing = False

    async def listen(self, host: str, port: int, shared: socket.socket | None = None) -> None:
        """shared: a socket that listens already, in place of host and port. SettingsError when the address cannot be listened on."""
        keep_large_blocks_apart()
        try:
            if shared is not None:
                self._listener = await self._loop.create_server(self._connection, sock=shared, backlog=BACKLOG)
            else:
                self._listener = await self._loop.create_server(self._connection, host, port, backlog=BACKLOG)
        except OSError as error:
            raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port") from None
        self._sweep()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    def _connection(self) -> Connection:
        return Connection(self, self._service, self._limits, self._loop)

    def opened(self, connection: Connection) -> bool:
        """Take a connection in; False when there are too many that are all at work."""
        room = len(self.connections) < self._limits.max_connections or self._make_room()
        self.connections.add(connection)
        if room:
            self._waiting[connection] = None
        return room

    def waits(self, connection: Connection, waits: bool) -> None:
        """Whether it has nothing under way. Those that wait stand in the order in which they began to."""
        if not waits:
            self._waiting.pop(connection, None)
        elif connection in self.connections:
            self._waiting[connection] = None

    def hold(self, connection: Connection, more: int) -> bool:
        """Count bytes that it holds; False when there is no room, nor can any be made."""
        while more > 0 and not self.held.fits(more):
            victim = self._most_stalled(lambda other: other is not connection and other.holds)
            if victim is None:
                return False
            self._drop(victim)
        self.held.add(more)
        return True

    def _make_room(self) -> bool:
        victim = next(iter(self._waiting), None) or self._most_stalled(lambda other: True)
        if victim is None:
            return False
        self._drop(victim)
        return True

    def _most_stalled(self, fits: Callable[[Connection], bool]) -> Connection | None:
        before = self._loop.time() - STALLED_S
        stalled = [c for c in self.connections if (c.reading or c.stuck or c.over) and c.moved_at <= before and fits(c)]
        return min(stalled, key=lambda c: c.moved_at, default=None)

    def _drop(self, victim: Connection) -> None:
        self._waiting.pop(victim, None)
        self.connections.discard(victim)
        victim.give_up()

    def closed(self, connection: Connection, task: asyncio.Task[None] | None) -> None:
        """A connection is gone. task: what was done for it, which has yet to end: a request is recorded at its end."""
        if task is not None and not task.done():
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        self._waiting.pop(connection, None)
        self.connections.discard(connection)
        self._ended += 1
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    def sweep(self, now: float) -> None:
        """Close what is overdue at this loop time."""
        for connection in list(self.connections):
            connection.overdue(now)
        self.held.settle(left=self._ended >= CROWD)
        self._ended = 0 if self._ended >= CROWD else self._ended

    def _sweep(self) -> None:
        self.sweep(self._loop.time())
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    async def close(self, drain_s: float) -> int:
        """Take no new connections, let requests under way finish for up to drain_s seconds, then cut. Returns how many were
        cut. Cancelled, it cuts at once. May be called twice."""
        self.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._listener is not None:
            self._listener.close()
        for connection in list(self.connections):
            connection.shut()
        cut = 0
        if self.connections:
            self._empty = self._loop.create_future()
            try:
                async with asyncio.timeout(drain_s):
                    await asyncio.shield(self._empty)
            except asyncio.CancelledError:
                self._cut()
                await self._gone()
                raise
            except TimeoutError:
                cut = self._cut()
        await self._gone()
        return cut

    def _cut(self) -> int:
        left = list(self.connections)
        for connection in left:
            connection.transport.abort()
        return len(left)

    async def _gone(self) -> None:
        if self.connections and self._empty is not None:
            await self._empty
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=LEAVING_S)


async def serve_web(service: Service, limits: WebLimits, host: str, port: int, shared: socket.socket | None = None) -> WebServer:
    """A server that listens; port 0 takes a free one. shared: a socket that listens already. SettingsError when it cannot."""
    server = WebServer(service, limits)
    await server.listen(host, port, shared)
    return server
