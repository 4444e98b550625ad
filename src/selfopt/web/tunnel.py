"""Connects to a server with TLS through a proxy (RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar, cast

from selfopt.errors import EndpointError

from .address import HttpAddress, ProxyAddress
from .grammar import status_line
from .limits import BadMessage

MAX_ANSWER_BYTES = 65_536
P = TypeVar("P", bound=asyncio.Protocol)


class _Answer(asyncio.Protocol):
    """Reads the head of what a proxy answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._head = bytearray()
        self.status: asyncio.Future[int] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        """Take some bytes. The server says nothing before the TLS handshake."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if self.status.done() or (end < 0 and len(self._head) <= MAX_ANSWER_BYTES):
            return
        try:
            self.status.set_result(status_line(bytes(self._head.partition(b"\r\n")[0]))[0])
        except BadMessage:
            self.status.set_exception(_failed("its answer is not HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait."""
        if not self.status.done():
            self.status.set_exception(_failed("it closed the connection"))


async def tunnel(
    loop: asyncio.AbstractEventLoop,
    address: HttpAddress,
    via: ProxyAddress,
    context: ssl.SSLContext,
    make: Callable[[], P],
) -> P:
    """Return a connection to the server. Raises EndpointError, or what connecting raises."""
    transport, answer = await loop.create_connection(lambda: _Answer(loop), via.host, via.port)
    try:
        where = address.authority.encode()
        transport.write(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: selfopt\r\n%s\r\n" % (where, where, via.authorization))
        status = await answer.status
        if not 200 <= status < 300:
            raise _failed("it asks for a user and a password" if status == 407 else f"it answered {status}")
        protocol = make()
        secured = await loop.start_tls(transport, protocol, context, server_hostname=address.host)
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(cast("asyncio.Transport", secured))
    return protocol


def _failed(what: str) -> EndpointError:
    return EndpointError(f"no connection through the proxy: {what}", kind="connect")
