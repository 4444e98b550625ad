"""Serves the site until cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfopt.web import WebLimits, WebServer

from .guard import Guard
from .site import Site

if TYPE_CHECKING:
    from selfopt.verbs.opening import App

LIMITS = WebLimits(max_body_bytes=1_000_000, max_held_bytes=16_000_000, max_connections=256)


@dataclass(frozen=True, slots=True)
class UiOptions:
    """Where to listen. port: 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8485


async def serve_ui(app: App, options: UiOptions, link: Callable[[str], None]) -> None:
    """Serve until cancelled. link: gets each address that signs in once. Raises SettingsError if it cannot listen."""
    site = Site(app, guard=Guard((options.host,)))
    server = WebServer(site.admit, LIMITS)
    shown = f"[{options.host}]" if ":" in options.host else options.host

    def tell() -> None:
        link(f"http://{shown}:{server.port}/ui/enter?ticket={site.tickets.make()}")

    site.link_used = tell
    try:
        await server.listen(options.host, options.port)
        site.start()
        tell()
        await asyncio.Event().wait()
    finally:
        await server.close(0.5)
        await site.close()
