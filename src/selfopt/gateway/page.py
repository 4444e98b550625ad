"""`/ui`: passes the page of a home on to the process that draws it.

Nothing is drawn in the process that serves: a page takes milliseconds, and chats would wait for them. The drawing
process listens on loopback for whoever knows its secret. It checks where a request comes from and who sends it by
the headers that are passed on, so these must be the client's, each once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from selfopt.errors import EndpointError
from selfopt.web import Denied, HttpRequest, Pool, Reply

from .page_kept import PagePart, PageParts, PollPace
from .page_process import PageProcess

MAX_FORM = 1_000_000
MAX_PAGE = 16_000_000
WAIT_S = 20.0
STATE_S = 1.0
AT_ONCE = 64
"""So many requests for pages are under way at a time; more are told to come again, so that chats keep their connections."""
FORWARDED = (
    *(b"host", b"cookie", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"),
    *(b"content-type", b"hx-request", b"x-csrf"),
)
_ONCE = frozenset(FORWARDED)
_METHODS = frozenset({b"GET", b"HEAD", b"POST"})
_SHARED = b"x-selfopt-shared"
"""A header of answers that every reader may get, for a second."""
_POLL = b"x-poll-s"
_HOP = frozenset({b"content-length", b"connection", b"transfer-encoding", b"keep-alive", _SHARED})
_PLAIN = b"Content-Type: text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class StateOfGateway:
    """What the page tells of the process that serves. Fields as of `selfopt.ui.live.GatewayState`."""

    open: tuple[str, ...]
    fault: str
    rules_faults: int
    worker: int


class PageDoor:
    """Answers `/ui` and what is below it, with what the drawing process says."""

    def __init__(self, process: PageProcess, pool: Pool, state: Callable[[], StateOfGateway]) -> None:
        self._process = process
        self._pool = pool
        self._state = state
        clock = asyncio.get_running_loop().time
        self._parts = PageParts(clock)
        self._pace = PollPace(clock)
        self._told, self._told_at = b"", -STATE_S
        self._under_way = 0

    @staticmethod
    def has(path: bytes) -> bool:
        """Say whether a path is one of the page's."""
        return path == b"/ui" or path.startswith(b"/ui/")

    def admit(self, request: HttpRequest) -> None:
        """Raise Denied for what no browser of a reader sends, before a body is read."""
        if request.method not in _METHODS:
            raise Denied(405, [_PLAIN, b"Allow: GET, HEAD, POST"], b"this path does not take that method\n")
        if request.repeated & _ONCE:
            raise Denied(400, [_PLAIN], b"a header came twice\n")
        if request.method == b"POST":
            length = request.headers.get(b"content-length", b"")
            if not length.isdigit() or len(length) > 7 or int(length) > MAX_FORM:
                raise Denied(413, [_PLAIN], b"a form has a known length, of at most %d bytes\n" % MAX_FORM)

    async def answer(self, request: HttpRequest, reply: Reply) -> None:
        """Answer with a part that was just drawn, or pass a request on, and its answer back."""
        mark = self._process.sessions_mark()
        reader = tuple(map(request.headers.get, FORWARDED))
        part = self._parts.find(reader, _target(request), mark) if request.method == b"GET" else None
        if part is not None:
            self._send(request, reply, part)
            return
        if self._under_way >= AT_ONCE:
            reply.send(503, [_PLAIN, b"Retry-After: 1"], b"too many readers at once; reload in a moment\n")
            return
        self._under_way += 1
        try:
            part, shared = await self._pass(request)
            if shared:
                self._parts.keep(reader, _target(request), mark, part)
            self._send(request, reply, part)
        except (EndpointError, OSError):
            reply.send(
                503,
                [_PLAIN, b"Retry-After: 2"],
                b"the page is not there now; the log of selfopt serve says why. Reload in a moment\n",
            )
        finally:
            self._under_way -= 1

    def _send(self, request: HttpRequest, reply: Reply, part: PagePart) -> None:
        waited = request.headers.get(_POLL)
        if waited is None or part.status >= 300:  # those who were not let in are no readers
            reply.send(part.status, part.lines, part.body)
        else:
            reply.send(part.status, [*part.lines, b"X-Poll-S: %d" % self._pace.next_s(waited)], part.body)

    async def _pass(self, request: HttpRequest) -> tuple[PagePart, bool]:
        """Return what the drawing process says, and whether every reader may get it."""
        address, secret = await self._process.address()
        got = await self._pool.ask(
            address, self._payload(request, secret), timeout_s=WAIT_S, connect_timeout_s=WAIT_S, max_bytes=MAX_PAGE
        )
        lines = [b"%s: %s" % (name, value) for name, value in got.headers.items() if name not in _HOP]
        shared = request.method == b"GET" and _SHARED in got.headers
        return PagePart(got.status, lines, got.body), shared

    def _payload(self, request: HttpRequest, secret: bytes) -> bytes:
        method = b"GET" if request.method == b"HEAD" else request.method
        lines = [b"%s %s HTTP/1.1" % (method, _target(request))]
        lines += [b"%s: %s" % (name, request.headers[name]) for name in FORWARDED if name in request.headers]
        lines.append(b"x-selfopt-door: " + secret)
        lines.append(b"x-selfopt-gateway: " + self._state_told())
        if method == b"POST":
            lines.append(b"content-length: %d" % len(request.body))
        return b"\r\n".join([*lines, b"", request.body if method == b"POST" else b""])

    def _state_told(self) -> bytes:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= STATE_S:
            self._told_at = now
            # Escaped, because a header takes no other characters.
            self._told = json.dumps(asdict(self._state())).replace("\x7f", "?").encode("ascii")
        return self._told


def _target(request: HttpRequest) -> bytes:
    return request.path + (b"?" + request.query if request.query else b"")
