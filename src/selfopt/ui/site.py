"""The site: takes requests in, finds their page, and answers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import unquote

from selfopt.errors import SelfoptError
from selfopt.web import Denied, HttpRequest, Reply

from .asked import HTML, SHARED, Asked, Fields, Page, PageAnswer, PageError, Route, redirect
from .drawing import Drawing, url
from .guard import HEADERS, Guard, check_token, cookie_of
from .live import LiveRequests
from .pages import ALSO, PAGES
from .playing import Playing
from .sessions import Sessions, Tickets
from .shared import Shared
from .static_files import StaticFiles

if TYPE_CHECKING:
    from selfopt.verbs.opening import App

log = logging.getLogger("selfopt.ui")
P = ParamSpec("P")
T = TypeVar("T")
NOT_KEPT = b"Cache-Control: no-store"
THREADS = 2


class Site:
    """All pages of one home.

    Attributes:
        app: the open home, for verbs.
        by_key: one signs in with an API key of the gateway; else by the link that the terminal shows.
        live: the requests.
        shared: what is made once for all readers.
        playing: the answers of the playground that are under way.
        find_key: returns the id of a key that may sign in.
        link_used: called when somebody came in by the link.
    """

    def __init__(
        self,
        app: App,
        *,
        guard: Guard | None = None,
        sessions: Sessions | None = None,
        find_key: Callable[[str], str | None] | None = None,
        pages: tuple[Page, ...] = PAGES,
    ) -> None:
        self.app = app
        self.guard = guard or Guard()
        self.sessions = sessions or Sessions()
        self.tickets = Tickets()
        self.by_key = find_key is not None
        self.find_key = find_key or (lambda presented: None)
        self.link_used: Callable[[], None] = lambda: None
        self.files = StaticFiles()
        self.shared = Shared()
        self.playing = Playing()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ui")
        self._drawing = Drawing(pages, {"static": self.files.url, "has_page": {page.name for page in pages}.__contains__})
        self.live = LiveRequests(app, self.in_thread, self.shared)
        files = [Route(f"/static/{{version}}/{name}", self.files.show, is_open=True) for name in ("{name}", "{folder}/{name}")]
        routes = (*(route for page in pages for route in page.routes), *ALSO, *files)
        self._routes = [(route, _pattern(route.pattern)) for route in routes]

    def start(self) -> None:
        """Begin to read the requests of before."""
        self.live.start()

    async def close(self) -> None:
        """End what is under way, and the threads."""
        await self.live.close()
        await self.shared.close()
        await self.playing.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # what pages use

    def page(self, asked: Asked, template: str, status: int = 200, **context: Any) -> PageAnswer:
        """Draw a whole page, with navigation. context needs `title`, and `active` for a page of the navigation."""
        assert asked.session is not None
        own = {"active": "", "csrf": asked.session.csrf, "by_key": self.by_key, "path": asked.path, **context}
        return PageAnswer(self._drawing.draw(template, own), status)

    def fragment(self, asked: Asked, template: str, **context: Any) -> PageAnswer:
        """Draw a part of a page, for htmx."""
        assert asked.session is not None
        return PageAnswer(self._drawing.draw(template, {"csrf": asked.session.csrf, **context}))

    def shared_part(self, template: str, **context: Any) -> PageAnswer:
        """Draw a part of a page that is the same for all who are signed in."""
        return PageAnswer(self._drawing.draw(template, context), headers=(SHARED,))

    def bare(self, asked: Asked, template: str, status: int = 200, headers: tuple[bytes, ...] = (), **context: Any) -> PageAnswer:
        """Draw a page without navigation, for those who are not signed in."""
        return PageAnswer(self._drawing.draw(template, {"by_key": self.by_key, **context}), status, headers=headers)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what takes time outside of the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))

    # what the server uses

    def admit(self, request: HttpRequest) -> Callable[[HttpRequest, Reply], Awaitable[None]]:
        """Return who answers; what may not be asked is refused before its body is read."""
        try:
            self.guard.check(request)
        except PageError as error:
            raise Denied(error.status, [*_common(), NOT_KEPT], self._error(error).body) from None
        return self._answer

    async def _answer(self, request: HttpRequest, reply: Reply) -> None:
        try:
            answer = await self._find(request)
        except PageError as error:
            answer = self._error(error)
        except SelfoptError as error:
            answer = self._error(PageError(500, "This could not be read", str(error)))
        except Exception:
            log.exception("a page failed")
            answer = self._error(
                PageError(500, "This page failed", "This is a bug in selfopt. The log of the process says more.")
            )
        kept = () if any(line.startswith(b"Cache-Control") for line in answer.headers) else (NOT_KEPT,)
        reply.send(answer.status, [b"Content-Type: " + answer.kind, *HEADERS, *kept, *answer.headers], answer.body)

    async def _find(self, request: HttpRequest) -> PageAnswer:
        if request.path in (b"/", b"/ui"):
            return redirect(url("/"))
        path = request.path.removeprefix(b"/ui") if request.path.startswith(b"/ui/") else b""
        method = "POST" if request.method == b"POST" else "GET" if request.method in (b"GET", b"HEAD") else ""
        for route, pattern in self._routes:
            match = pattern.fullmatch(path.decode("latin-1")) if route.method == method else None
            if match is not None:
                return await self._show(request, route, {name: unquote(value) for name, value in match.groupdict().items()})
        raise PageError(404, "There is no such page", "The navigation has all pages.")

    async def _show(self, request: HttpRequest, route: Route, parts: dict[str, str]) -> PageAnswer:
        headers = request.headers
        cookie = cookie_of(request)
        session = self.sessions.find(cookie) if cookie else None
        try:
            query, form = Fields(request.query), Fields(request.body)
        except ValueError:
            raise PageError(400, "There are too many fields in this address") from None
        fragment = headers.get(b"hx-request") == b"true"
        if session is None and not route.is_open:
            if fragment:
                return PageAnswer(status=401, headers=(b"HX-Redirect: /ui/signin",))
            return redirect(url("/signin"))
        if session is not None and request.method == b"POST" and not route.is_open:
            check_token(session.csrf, headers.get(b"x-csrf", b"").decode("latin-1") or form.one("csrf"))
        return await route.show(
            Asked(
                site=self,
                path=request.path.decode("latin-1"),
                parts=parts,
                query=query,
                form=form,
                session=session,
                fragment=fragment,
                cookie=cookie,
                host=headers.get(b"host", b""),
                secure=headers.get(b"origin", b"").startswith(b"https:"),
            )
        )

    def _error(self, error: PageError) -> PageAnswer:
        context = {"title": error.title, "advice": error.advice, "status": error.status}
        return PageAnswer(self._drawing.draw("error.html", context), error.status)


def _common() -> list[bytes]:
    return [b"Content-Type: " + HTML, *HEADERS]


def _pattern(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(f"(?P<{piece}>[^/]+)" if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)))
