"""A site that listens, and a browser that sends what it is told to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from selfopt.ui.guard import Guard
from selfopt.ui.serving import LIMITS
from selfopt.ui.sessions import Sessions
from selfopt.ui.site import Site
from selfopt.verbs.opening import App
from selfopt.web import WebServer


@dataclass(slots=True)
class Clock:
    """Seconds that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, slots=True)
class Got:
    """An answer. headers: the last of each name, in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(slots=True)
class Browser:
    """Sends one request a connection, with its cookie and the headers of a page of ours."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, method: str, target: str, body: bytes = b"", **headers: str | None) -> Got:
        """Send a request. headers: underscores stand for hyphens, None leaves one out."""
        told: dict[str, str | None] = {"host": f"127.0.0.1:{self.port}", "connection": "close", **self.headers}
        told["cookie"] = self.cookie or None
        if body or method == "POST":
            told["content-length"] = str(len(body))
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items() if value is not None)]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            whole = await reader.read()
        finally:
            writer.close()
        head, _, rest = whole.partition(b"\r\n\r\n")
        first, *others = head.decode("latin-1").split("\r\n")
        got = {name.lower(): value for name, _, value in (line.partition(": ") for line in others)}
        if "set-cookie" in got:
            self.cookie = got["set-cookie"].partition(";")[0]
        return Got(int(first.split()[1]), got, rest.decode())

    async def get(self, target: str, **headers: str | None) -> Got:
        """Open an address, as by a link of the page."""
        return await self.send("GET", target, b"", **{"sec_fetch_site": "same-origin", **headers})

    async def post(self, target: str, form: Mapping[str, str], **headers: str | None) -> Got:
        """Send a form of the page."""
        own: dict[str, str | None] = {
            "sec_fetch_site": "same-origin",
            "origin": f"http://127.0.0.1:{self.port}",
            "content_type": "application/x-www-form-urlencoded",
        }
        return await self.send("POST", target, urlencode(form).encode(), **{**own, **headers})

    async def csrf(self) -> str:
        """Return the token that the page has for its forms."""
        found = re.search(r'data-csrf="([^"]+)"', (await self.get("/ui/words")).text)
        assert found is not None
        return found[1]


@dataclass(frozen=True, slots=True)
class Running:
    """A site that listens."""

    site: Site
    clock: Clock
    port: int

    def browser(self) -> Browser:
        """Return one that is not signed in."""
        return Browser(self.port)

    async def signed_in(self) -> Browser:
        """Return one that used the link."""
        browser = self.browser()
        assert (await browser.get(f"/ui/enter?ticket={self.site.tickets.make()}", sec_fetch_site="none")).status == 200
        return browser


@asynccontextmanager
async def running(
    home: Path, keys: dict[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Serve the pages of a home. keys: presented key -> its id, where one signs in with them."""
    clock = Clock()
    async with App.open(home, environ=environ or {}, cwd=home) as app:
        sessions = Sessions(lambda key: key in (keys or {}).values(), clock)
        find = None if keys is None else keys.get
        site = Site(app, guard=Guard(), sessions=sessions, find_key=find)
        server = WebServer(site.admit, LIMITS)
        await server.listen("127.0.0.1", 0)
        try:
            yield Running(site, clock, server.port)
        finally:
            await server.close(0.0)
            await site.close()
