"""One request as it was read, within its limits."""

from __future__ import annotations

from time import perf_counter

__all__ = ["HttpRequest"]

# Headers that decide who may do what: said twice, they say nothing.
ONCE = frozenset({b"host", b"origin", b"authorization", b"content-type", b"x-selfopt-phase", b"x-selfopt-variant"})


class HttpRequest:
    """method, path: as sent (the path without its query, percent signs kept). headers: names in lower case; of one that came
    several times, the last. repeated: a header of ONCE that came more than once, or b"". at: loop time of its first byte, for deadlines;
    began: the same as seconds of `perf_counter`, for figures, since a loop's time may stand still for milliseconds."""

    __slots__ = ("at", "began", "body", "headers", "http11", "keep_alive", "method", "path", "query", "repeated")

    def __init__(self, at: float) -> None:
        self.at = at
        self.began = perf_counter()
        self.method = b""
        self.path = b""
        self.query = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.keep_alive = True
        self.http11 = True
        self.repeated = b""
