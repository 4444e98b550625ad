"""What the headers were of requests that the scripted upstream got."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from selfopt.scripted import server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def hear(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return a list that the headers of each POST are added to, with names in lower case."""
    heard: list[dict[str, str]] = []
    make = server._key_checker

    def listening(api_key: str | None) -> object:
        checks = make(api_key)

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.method == "POST":
                heard.append({name.lower(): value for name, value in request.headers.items()})
            answer: web.StreamResponse = await checks(request, handler)
            return answer

        return check

    monkeypatch.setattr(server, "_key_checker", listening)
    return heard
