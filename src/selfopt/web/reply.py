"""Writes one answer, whole or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING

from .grammar import block_of
from .reader import HttpRequest

if TYPE_CHECKING:
    from .connection import Connection

_WITHOUT_BODY = (204, 304)
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}


def head(status: int, headers: list[bytes]) -> bytes:
    """Return the status line, the headers (`Name: value` each) and the blank line.

    Raises ValueError for a header that would break the message.
    """
    line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status
    return b"%s%s\r\n" % (line, block_of(headers))


class Reply:
    """The answer to one request. Call `send`; or `begin`, `write` any number of times, and `end`.

    Attributes:
        status: 0 before `send` or `begin`.
        ended: whether the answer is complete or broken off.
        first_byte_at: `perf_counter` at which the first bytes were handed over.
        always: headers that the answer has whatever it says.
    """

    __slots__ = ("_chunked", "_head", "_only_head", "_wire", "always", "ended", "first_byte_at", "keep_alive", "status")

    def __init__(self, wire: Connection, request: HttpRequest) -> None:
        self._wire = wire
        self._chunked = request.http11
        self._only_head = request.method == b"HEAD"
        self._head = b""
        self.keep_alive = request.keep_alive
        self.status = 0
        self.ended = False
        self.first_byte_at = 0.0
        self.always: Sequence[bytes] = ()

    def send(self, status: int, headers: Sequence[bytes], body: bytes) -> None:
        """Send the whole answer. Content-Length and Connection are added to the headers."""
        if self.status:
            raise RuntimeError("this request was answered already")
        own = list(headers)
        bare = status in _WITHOUT_BODY
        if not bare:
            own.append(b"Content-Length: %d" % len(body))
        told = self._written(status, own)
        self.status = status
        self.ended = True
        self._put(told if bare or self._only_head else told + body)

    def begin(self, status: int, headers: Sequence[bytes]) -> None:
        """Begin an answer in pieces; its head goes out with the first one.

        For clients of HTTP/1.0 it ends with the connection.
        """
        own = list(headers)
        if self._chunked:
            own.append(b"Transfer-Encoding: chunked")
        else:
            self.keep_alive = False
        self._head = self._written(status, own)
        self.status = status

    def _written(self, status: int, own: list[bytes]) -> bytes:
        own += self.always
        if not self.keep_alive:
            own.append(b"Connection: close")
        elif not self._chunked:
            own.append(b"Connection: keep-alive")
        return head(status, own)

    def write(self, data: bytes) -> None:
        """Send a piece."""
        if data and not self._only_head:
            piece = b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data
            self._put(self._head + piece)
            self._head = b""

    def end(self) -> None:
        """End an answer in pieces."""
        self.ended = True
        self._put(self._head + (b"0\r\n\r\n" if self._chunked and not self._only_head else b""))
        self._head = b""

    def break_off(self, last: bytes) -> None:
        """Send a last piece and close, so that the client sees that the answer is incomplete."""
        self.write(last)
        self.ended = True
        self.keep_alive = False
        self._wire.transport.close()

    def abort(self) -> None:
        """Close at once, so that the client sees that the answer is incomplete."""
        self.ended = True
        self.keep_alive = False
        self._wire.transport.abort()

    @property
    def stuck(self) -> bool:
        """Whether the client does not read what was written."""
        return self._wire.stuck

    def when_writable(self, told: Callable[[], None]) -> None:
        """Call `told` once when the client reads again."""
        self._wire.when_writable(told)

    def _put(self, data: bytes) -> None:
        transport = self._wire.transport
        if data and not transport.is_closing():
            if not self.first_byte_at:
                self.first_byte_at = perf_counter()
            transport.write(data)
