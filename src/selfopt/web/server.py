"""Listens, counts connections, closes slow ones, and shuts down in order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from selfopt.errors import SettingsError

from .connection import Connection, Service, Told, error_body
from .limits import WebLimits
from .memory import Held, keep_large_blocks_apart
from .turns import Turns

log = logging.getLogger("selfopt.web")

SWEEP_S = 1.0
STALLED_S = 1.0
"""A client that moves nothing for so long within an exchange may be dropped for others."""
ACCEPTED_AT_ONCE = 256
NO_ROOM_S = 0.2
CROWD = 200
"""After so many connections have ended, memory is given back."""
LEAVING_S = 5.0
BACKLOG = 1024


class WebServer:
    """A listening server.

    When there is no room, it drops the connection that has waited longest without a request, then
    the one that stalled longest.

    Attributes:
        connections: the open ones.
        closing: no new ones are taken.
        held: bytes of bodies being read and answers not yet sent.
    """

    def __init__(self, service: Service, limits: WebLimits, told: Told = error_body) -> None:
        """told: writes the error for a request that cannot be read."""
        self._service = service
        self._told = told
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._waiting: dict[Connection, None] = {}
        self._ended = 0
        self._turns = Turns(self._loop)
        self.port = 0
        self.connections: set[Connection] = set()
        self.held = Held(limits.max_held_bytes)
        self.closing = False

    async def listen(self, host: str, port: int, shared: socket.socket | None = None) -> None:
        """Listen. shared: a listening socket to use instead of host and port.

        Raises SettingsError when the address cannot be listened on.
        """
        keep_large_blocks_apart()
        try:
            self._listening = [shared] if shared is not None else await listening_sockets(host, port)
        except OSError as error:
            raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port") from None
        self.port = int(self._listening[0].getsockname()[1])
        for each in self._listening:
            each.setblocking(False)
            self._loop.add_reader(each.fileno(), self._accept, each)
        self._sweep()

    def _accept(self, listening: socket.socket) -> None:
        """Accept all that wait. libuv would accept one a turn, after everybody else's work."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptors left: make room, and try again in a moment
                log.warning("a connection could not be taken: %s", error.strerror or error)
                self._make_room()
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(NO_ROOM_S, self._accept_again, listening)
                return
            client.setblocking(False)
            with suppress(OSError):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._let_in(client))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _let_in(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self, self._service, self._limits, self._told), client)
        except OSError:  # gone already
            client.close()

    def _accept_again(self, listening: socket.socket) -> None:
        if not self.closing:
            self._loop.add_reader(listening.fileno(), self._accept, listening)
            self._accept(listening)

    def opened(self, connection: Connection) -> bool:
        """Take a connection in; return False when there are too many and all are busy."""
        room = len(self.connections) < self._limits.max_connections or self._make_room()
        self.connections.add(connection)
        if room:
            self._waiting[connection] = None
        return room

    def waits(self, connection: Connection, waits: bool) -> None:
        """Note whether it has nothing under way. Waiting connections are kept in order."""
        if not waits:
            self._waiting.pop(connection, None)
        elif connection in self.connections:
            self._waiting[connection] = None

    def later(self, connection: Connection, data: bytes) -> bool:
        """Queue data for `Connection.take`. Returns False when it is to be read now.

        That is so for the first data in a turn of the loop, and when nothing more can be held.
        """
        if self._turns.first() or not self.held.fits(len(data)):
            return False
        self.held.add(len(data))
        self._turns.later(partial(self._take, connection, data))
        return True

    def _take(self, connection: Connection, data: bytes) -> None:
        self.held.add(-len(data))
        connection.take(data)

    def turn(self) -> asyncio.Future[None]:
        """Return a future that is done when a connection may go on after others had their turn."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._turns.later(lambda: None if future.done() else future.set_result(None))
        return future

    def hold(self, connection: Connection, more: int) -> bool:
        """Count bytes that it holds (a negative number: fewer); False when no room can be made."""
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
        """Forget a connection. task: answers its last request, and records it at its end."""
        if task is not None and not task.done():
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        self._waiting.pop(connection, None)
        self.connections.discard(connection)
        self._ended += 1
        if self._empty is not None and not self.connections and not self._empty.done():
            self._empty.set_result(None)

    def sweep(self, now: float) -> None:
        """Close the connections that are overdue at this loop time."""
        for connection in list(self.connections):
            connection.overdue(now)
        self.held.settle(left=self._ended >= CROWD)
        self._ended = 0 if self._ended >= CROWD else self._ended

    def _sweep(self) -> None:
        self.sweep(self._loop.time())
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    async def close(self, drain_s: float) -> None:
        """Take no new connections, and cut those that are not done after drain_s seconds.

        Cancelled, it cuts at once. May be called twice.
        """
        self.closing = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for each in self._listening:
            self._loop.remove_reader(each.fileno())
            each.close()
        self._listening = []
        for connection in list(self.connections):
            connection.shut()
        with suppress(TimeoutError):
            try:
                if self.connections:
                    self._empty = self._loop.create_future()
                    async with asyncio.timeout(drain_s):
                        await asyncio.shield(self._empty)
            finally:
                for connection in list(self.connections):
                    connection.transport.abort()
                if self.connections and self._empty is not None:
                    await self._empty
                if self._leaving:
                    await asyncio.wait(self._leaving, timeout=LEAVING_S)


async def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host. Port 0 takes a free one, the same on all.

    Raises OSError when one address cannot be listened on.
    """
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    found: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            own = (address[0], port or (found[0].getsockname()[1] if found else 0), *address[2:])
            made = socket.socket(family, socket.SOCK_STREAM)
            found.append(made)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(own)
            made.listen(BACKLOG)
    except OSError:
        for made in found:
            made.close()
        raise
    return found
