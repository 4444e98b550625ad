"""Reads one request at a time from a client's bytes, without a socket or a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from time import perf_counter

from .chunked import Chunked
from .grammar import (
    CHUNKED,
    check_host,
    fields_of,
    may_begin_request,
    request_length,
    request_line,
    stays_open,
    target_of,
)
from .limits import BadMessage, WebLimits

UNCOUNTED = 65_536
"""A body up to this size is not counted, so that small requests are served in any crowd."""


@dataclass(slots=True)
class HttpRequest:
    """A request as it was sent.

    Attributes:
        at: loop time of its first byte, for deadlines.
        began: the same as `perf_counter`, for figures; loop time can stand still for milliseconds.
        path: without its query; percent signs are kept.
        headers: names in lower case; the values of a repeated header are joined by commas.
        repeated: names of the headers that came more than once.
        expects: whether the client waits for `100 Continue`.
    """

    at: float
    began: float = field(default_factory=perf_counter)
    method: bytes = b""
    path: bytes = b""
    query: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    repeated: frozenset[bytes] = frozenset()
    body: bytes = b""
    expects: bool = False
    keep_alive: bool = True
    http11: bool = True


class RequestReader:
    """Reads one request; `begin` makes it ready for the next.

    Attributes:
        request: the one that has begun.
        asks: whether the client waits for `100 Continue`.
        rest: bytes that follow the request.
    """

    __slots__ = ("_admit", "_admitted", "_body", "_buffer", "_chunked", "_count", "_counted", "_left", "_limits", "_scanned", "_size", "asks", "request", "rest")  # fmt: skip

    def __init__(self, limits: WebLimits, admit: Callable[[HttpRequest, int], bool | None], count: Callable[[int], bool]) -> None:
        """Begin.

        Args:
            limits: of head and body.
            admit: gets a complete head and the length of the body (CHUNKED if unknown). Returns
                True to read the body, False to read and drop it, None not to read it.
            count: counts bytes of a body; False when there is no room for them.
        """
        self._limits = limits
        self._admit = admit
        self._count = count
        self.begin()

    def begin(self) -> None:
        """Make ready for the next request."""
        self.request: HttpRequest | None = None
        self.asks = False
        self.rest = b""
        self._buffer: bytes | bytearray = b""
        self._scanned = 0
        self._admitted = False
        self._left = self._size = self._counted = 0
        self._chunked: Chunked | None = None
        self._body: BytesIO | None = None

    def read(self, data: bytes, at: float) -> bool:
        """Read on; return whether the request is complete. at: loop time. Raises BadMessage."""
        return self._read_body(data) if self._admitted else self._read_head(data, at)

    def _read_head(self, came: bytes, at: float) -> bool:
        data: bytes | bytearray = came
        if self.request is None:
            if data == b"\r\n":  # some clients send this after a body
                return False
            self.request = HttpRequest(at)
        else:
            self._buffer += data
            data = self._buffer
        start = 2 if data.startswith(b"\r\n") else 0  # skips an empty line before a request (RFC 9112, 2.2)
        end = data.find(b"\r\n\r\n", max(start, self._scanned - 3))
        if (len(data) if end < 0 else end) - start > self._limits.max_head_bytes:
            self.request.path = _named_path(bytes(data[start : data.find(b"\r\n", start)]))
            raise BadMessage.too_large()
        if end < 0:
            if not may_begin_request(data, start, self._scanned):
                raise BadMessage(400, b"bad_http", b"this is not an HTTP/1.1 request")
            self._buffer = data if isinstance(data, bytearray) else bytearray(data)
            self._scanned = len(data)
            return False
        lines, rest = bytes(data[start : end + 2]), bytes(data[end + 4 :])
        self._buffer = b""
        length = _read_request(self.request, lines, self._limits.max_headers)
        return self._begin_body(self.request, length, rest)

    def _begin_body(self, request: HttpRequest, length: int, rest: bytes) -> bool:
        """Have the request admitted before anything of its body is kept."""
        wanted = self._admit(request, length)
        self._admitted = True
        if wanted is None:
            return True
        if length > self._limits.max_body_bytes:
            raise self._too_large()
        if length != CHUNKED and length <= len(rest):
            if wanted and length:
                self._hold(length)
                request.body = rest[:length]
            self.rest = rest[length:]
            return True
        self._chunked = Chunked() if length == CHUNKED else None
        self._left = length
        self._body = BytesIO() if wanted else None
        if rest:
            return self._read_body(rest)
        self.asks = request.expects
        return False

    def _read_body(self, data: bytes) -> bool:
        if self._chunked is not None:
            piece, end = self._chunked.feed(data)
        else:
            piece, end = (data, -1) if len(data) < self._left else (data[: self._left], self._left)
            self._left -= len(piece)
        self._size += len(piece)
        if self._size > self._limits.max_body_bytes:
            raise self._too_large()
        if self._body is not None:
            self._hold(self._size)
            self._body.write(piece)
        if end < 0:
            return False
        if self._body is not None:
            assert self.request is not None
            self.request.body = self._body.getvalue()
            self._body = None
        self.rest = data[end:]
        return True

    def _hold(self, size: int) -> None:
        more = size - self._counted
        if size > UNCOUNTED and more:
            if not self._count(more):
                raise BadMessage(503, b"too_much_at_once", b"too many large requests at once; try again later")
            self._counted = size

    def _too_large(self) -> BadMessage:
        return BadMessage(413, b"body_too_large", b"the body is larger than %d bytes" % self._limits.max_body_bytes)


def _named_path(line: bytes) -> bytes:
    """Return the path that a request line names, as far as it can be told."""
    target = line.partition(b" ")[2].partition(b" ")[0]
    return target.partition(b"?")[0] if target.startswith(b"/") else b""


def _read_request(request: HttpRequest, head: bytes, max_headers: int) -> int:
    """Fill in a request from its head; return the length of its body, or CHUNKED.

    Raises BadMessage. An Upgrade is ignored, as RFC 9110, 7.8 allows.
    """
    line, _, block = head.partition(b"\r\n")
    try:
        request.method, target, request.http11 = request_line(line)
        request.headers, request.repeated = headers, repeated = fields_of(block, max_headers)
        check_host(headers, repeated, request.http11)
        request.path, request.query = target_of(request.method, target, headers)
    except BadMessage:
        request.path = _named_path(line)  # the error has the form of that path
        raise
    request.keep_alive = stays_open(headers, request.http11)
    expected = headers.get(b"expect")
    if expected is not None and request.http11:
        if expected.lower() != b"100-continue":
            raise BadMessage(417, b"unknown_expectation", b"100-continue is the only expectation that is supported")
        request.expects = True
    return request_length(headers, repeated, request.http11)
