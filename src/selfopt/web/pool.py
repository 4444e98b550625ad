"""Keeps connections to servers between requests."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from functools import cached_property

from selfopt.errors import EndpointError

from .address import HttpAddress, Origin
from .stream import UpstreamReply, UpstreamStream
from .tunnel import tunnel
from .turns import Turns
from .upstream import StaleError, UpstreamConnection

# llama.cpp and uvicorn close an idle connection after 5 s. A request sent at that moment is lost.
KEEP_ALIVE_S = 4.0
MAX_IDLE = 256


class Pool:
    """Sends requests to any number of servers.

    The connection that became idle last is used first, so that few are kept under little load.

    Attributes:
        connections: the open ones.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._turns = Turns(self._loop)
        self._idle: dict[Origin, deque[UpstreamConnection]] = {}
        self.connections: set[UpstreamConnection] = set()

    async def ask(
        self, address: HttpAddress, payload: bytes, *, timeout_s: float, connect_timeout_s: float, max_bytes: int
    ) -> UpstreamReply:
        """Return the whole answer to a request, of any status. Raises EndpointError."""
        while True:
            connection = await self._connection(address, min(connect_timeout_s, timeout_s))
            fresh = connection.used == 0
            try:
                reply = await connection.ask(payload, timeout_s, max_bytes)
            except StaleError:
                if fresh:
                    raise EndpointError("the connection was closed without a reply", kind="protocol") from None
                continue
            except asyncio.CancelledError:
                connection.drop()
                raise
            self._release(address.origin, connection)
            return reply

    async def open(
        self, address: HttpAddress, payload: bytes, *, timeout_s: float, connect_timeout_s: float, max_bytes: int
    ) -> tuple[UpstreamReply, UpstreamStream]:
        """Return the head of the answer, and its body as a stream. Raises EndpointError.

        Call `done` when the stream is finished or given up.
        """
        while True:
            connection = await self._connection(address, min(connect_timeout_s, timeout_s))
            head, stream = connection.open(payload, timeout_s, max_bytes)
            try:
                return await head, stream
            except StaleError:
                continue
            except asyncio.CancelledError:
                connection.drop()
                raise

    def done(self, address: HttpAddress, stream: UpstreamStream) -> None:
        """Keep the connection of a finished stream; close that of any other."""
        connection = stream.connection
        if stream.finished and stream.error is None:
            self._release(address.origin, connection)
        else:
            connection.drop()

    async def _connection(self, address: HttpAddress, timeout_s: float) -> UpstreamConnection:
        idle = self._idle.get(address.origin)
        oldest = self._loop.time() - KEEP_ALIVE_S
        while idle:
            connection = idle.pop()
            if connection.kept and connection.idle_at >= oldest and connection.quiet:
                return connection
            connection.drop()
        return await self._connect(address, timeout_s)

    async def _connect(self, address: HttpAddress, timeout_s: float) -> UpstreamConnection:
        context = self._context if address.tls else None
        via = address.via
        try:
            async with asyncio.timeout(timeout_s):
                if via is not None and context is not None:
                    connection = await tunnel(self._loop, address, via, context, self._made)
                else:
                    host, port = (address.host, address.port) if via is None else (via.host, via.port)
                    _, connection = await self._loop.create_connection(self._made, host, port, ssl=context)
        except TimeoutError:
            raise EndpointError(f"no connection within {timeout_s:g} s", kind="connect") from None
        except ssl.SSLError as error:
            raise EndpointError(f"cannot connect over TLS: {error.reason or 'the handshake failed'}", kind="connect") from None
        except (OSError, socket.gaierror) as error:
            to = "cannot connect" if via is None else "cannot connect to the proxy"
            raise EndpointError(f"{to}: {error.strerror or 'no such host'}", kind="connect") from None
        self.connections.add(connection)
        return connection

    def _made(self) -> UpstreamConnection:
        return UpstreamConnection(self.connections.discard, self._loop, self._turns)

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _release(self, origin: Origin, connection: UpstreamConnection) -> None:
        if not connection.kept:
            connection.drop()
            return
        idle = self._idle.setdefault(origin, deque())
        connection.idle_at = self._loop.time()
        idle.append(connection)
        if len(idle) > MAX_IDLE:
            idle.popleft().drop()

    def prune(self) -> None:
        """Close connections that have been idle for too long. Called regularly."""
        oldest = self._loop.time() - KEEP_ALIVE_S
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].closed or idle[0].idle_at < oldest):
                idle.popleft().drop()
            if not idle:
                del self._idle[origin]

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self.connections):
            connection.drop()
        self._idle.clear()
