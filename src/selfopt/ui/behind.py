"""`python -m selfopt.ui.behind`: the page behind a gateway, which started this and passes requests on.

stdin   one line of JSON: home, hosts, any_address, listening and ended (descriptors), secret, parent (a process id).
        The end of the file means that the gateway has gone.
ended   a file that gets other bytes at its beginning whenever sessions may have ended: with this process's start, when one
        is over, and when the keys changed. The gateway keeps for a while who was let in.
stderr  the log
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from selfopt.verbs.admin_keys import AdminKeys
from selfopt.verbs.opening import App
from selfopt.web import Denied, HttpRequest, Reply, WebServer

from .guard import Guard
from .serving import LIMITS
from .sessions import Sessions
from .site import Site

MAX_LINE = 65_536
NICE = 10


def _read_config() -> dict[str, Any]:
    """Read the first line of stdin, unbuffered: the rest belongs to the watch."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece or len(line) > MAX_LINE:
            sys.exit(0)
        line += piece
    found: dict[str, Any] = json.loads(line)
    return found


def _behind(site: Site, secret: bytes) -> Callable[[HttpRequest], Callable[[HttpRequest, Reply], Awaitable[None]]]:
    """Return a service that answers those who know the secret."""

    def admit(request: HttpRequest) -> Callable[[HttpRequest, Reply], Awaitable[None]]:
        if not hmac.compare_digest(request.headers.get(b"x-selfopt-door", b""), secret):
            raise Denied(403, [b"Content-Type: text/plain"], b"ask the gateway for this page\n")
        state = request.headers.get(b"x-selfopt-gateway")
        if state is not None:
            site.live.told(state)
        return site.admit(request)

    return admit


def _write_mark(file: int) -> None:
    os.pwrite(file, secrets.token_bytes(8), 0)


async def serve_behind(app: App, config: Mapping[str, Any], gone: asyncio.Event) -> None:
    """Serve until the gateway has gone."""
    ended = partial(_write_mark, config["ended"])
    keys = AdminKeys(app, ended)
    guard = Guard(config["hosts"], any_address=bool(config["any_address"]))
    site = Site(app, guard=guard, sessions=Sessions(keys.valid, ended=ended), find_key=keys.find)
    server = WebServer(_behind(site, config["secret"].encode()), LIMITS)
    keys.start()
    try:
        await server.listen("127.0.0.1", 0, socket.socket(fileno=config["listening"]))
        site.start()
        await gone.wait()
    finally:
        keys.close()
        await server.close(0.0)
        await site.close()


async def _run(config: Mapping[str, Any]) -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            gone.set()

    loop.add_reader(0, heard)
    loop.add_signal_handler(signal.SIGTERM, gone.set)
    async with App.open(Path(config["home"])) as app:
        await serve_behind(app, config, gone)


def main() -> None:
    """Serve the page, at a lower priority than whoever serves models."""
    config = _read_config()
    logging.basicConfig(level=logging.WARNING, format="selfopt: page: %(message)s")
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError, AttributeError):  # Linux: never takes a core from whoever runs there
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):  # a session of its own is scheduled as one, and has a niceness of its own
        Path("/proc/self/autogroup").write_text(str(NICE))
    if os.getppid() == config["parent"]:
        asyncio.run(_run(config))


if __name__ == "__main__":
    main()
