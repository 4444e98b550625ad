"""One request as it was read, within its limits."""

from __future__ import annotations

from time import perf_counter

from .grammar import check_host, fields_of, request_length, request_line, stays_open, target_of
from .refused import BadMessage


class HttpRequest:
    """method, path: as sent (the path without its query, percent signs kept). headers: names in lower case, those that came several times
    joined by commas; repeated: their names. expects: the client waits to be asked for the body. at: loop time of its first byte, for deadlines;
    began: the same as seconds of `perf_counter`, for figures, since a loop's time may stand still for milliseconds."""

    __slots__ = ("at", "began", "body", "expects", "headers", "http11", "keep_alive", "method", "path", "query", "repeated")

    def __init__(self, at: float) -> None:
        self.at = at
        self.began = perf_counter()
        self.method = b""
        self.path = b""
        self.query = b""
        self.headers: dict[bytes, bytes] = {}
        self.repeated: frozenset[bytes] = frozenset()
        self.body = b""
        self.expects = False
        self.keep_alive = True
        self.http11 = True


def read_request(request: HttpRequest, head: bytes, max_headers: int) -> int:
    """Fill in a request from its head, up to the end of its last line; bytes of its body, or CHUNKED. BadMessage.

    An Upgrade to another protocol is not taken up, as a server may choose (RFC 9110, 7.8)."""
    line, _, block = head.partition(b"\r\n")
    request.method, target, request.http11 = request_line(line)
    request.headers, request.repeated = headers, repeated = fields_of(block, max_headers)
    check_host(headers, repeated, request.http11)
    request.path, request.query = target_of(request.method, target, headers)
    request.keep_alive = stays_open(headers, request.http11)
    expected = headers.get(b"expect")
    if expected is not None and request.http11:
        if expected.lower() != b"100-continue":
            raise BadMessage(417, b"unknown_expectation", b"the only expectation known here is 100-continue")
        request.expects = True
    return request_length(headers, repeated, request.http11)
