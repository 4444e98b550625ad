"""Serves the site until cancelled."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfopt.errors import UsageError
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


def _check_loopback(host: str) -> None:
    """Raise UsageError for a host that other machines reach: the link that signs in goes unencrypted."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            f"--host {host!r} can be reached from other machines, and the page is for this one: listen on 127.0.0.1, or open /ui of "
            "`selfopt serve`, where one signs in with an API key"
        )


async def serve_ui(app: App, options: UiOptions, link: Callable[[str], None]) -> None:
    """Serve until cancelled.

    Args:
        link: gets each address that signs in once.

    Raises:
        UsageError: other machines can reach the host.
        SettingsError: it cannot listen.
    """
    _check_loopback(options.host)
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
