"""Listening, counting connections, looking after the slow ones, and ending in peace."""

from __future__ import annotations

import asyncio

from selfopt.errors import SettingsError
from selfopt.gateway.options import WebLimits

from .connection import Connection, Handler

__all__ = ["WebServer", "serve_web"]

SWEEP_S = 1.0
LEAVING_S = 5.0


class WebServer:
    """A listening server. connections: those that are open; closing: no new ones are taken."""

    def __init__(self, handler: Handler, limits: WebLimits) -> None:
        self._handler = handler
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self.connections: set[Connection] = set()
        self.closing = False

    async def listen(self, host: str, port: int) -> None:
        """SettingsError when the address cannot be listened on."""
        try:
            self._listener = await self._loop.create_server(self._connection, host, port, backlog=1024)
        except OSError as error:
            raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port") from None
        self._sweep()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    def _connection(self) -> Connection:
        return Connection(self, self._handler, self._limits, self._loop)

    def opened(self, connection: Connection) -> bool:
        """Take a connection in; False when there are too many."""
        self.connections.add(connection)
        return len(self.connections) <= self._limits.max_connections

    def closed(self, connection: Connection, task: asyncio.Task[None] | None) -> None:
        """A connection is gone. task: what was done for it, which has yet to end: a request is recorded at its end."""
        if task is not None and not task.done():
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        self.connections.discard(connection)
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    def sweep(self, now: float) -> None:
        """Close what is overdue at this loop time."""
        for connection in list(self.connections):
            connection.overdue(now)

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


async def serve_web(handler: Handler, limits: WebLimits, host: str, port: int) -> WebServer:
    """A server that listens; port 0 takes a free one. SettingsError when it cannot."""
    server = WebServer(handler, limits)
    await server.listen(host, port)
    return server
