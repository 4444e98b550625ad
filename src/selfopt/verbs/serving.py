"""`serve`: serves live traffic under the rules in force, in one process or several."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress

from selfopt.gateway import Gateway, fast_loop
from selfopt.wiring.app import App
from selfopt.wiring.paging import page_is_on
from selfopt.wiring.serving import build_gateway, gateway_options
from selfopt.wiring.workers import Worker, in_workers, listening_socket, refuse_embedded

__all__ = ["Worker", "fast_loop", "in_workers", "listening_socket", "page_is_on", "refuse_embedded", "serve"]

READY_POLL_S = 0.25
SPARE_FILES = 256


async def serve(
    app: App,
    host: str | None,
    port: int | None,
    ready: Callable[[str], None],
    log: Callable[[str], None] | None = None,
    worker: Worker | None = None,
) -> None:
    """Serve until cancelled.

    Args:
        host, port: None for the settings'.
        ready: gets the base URL when the gateway listens.
        log: gets the lines of the access log.
        worker: this process's part, where several processes serve.
    """
    options = gateway_options(app, host, port, worker)
    gateway = build_gateway(app, options, log=log, worker=worker)
    _room_for(options.web.max_connections)
    try:
        await gateway.start(None if worker is None else worker.listening)
        ready(gateway.base_url)
        await (_until_cancelled() if worker is None else _work_for(worker, gateway))
    finally:
        await gateway.close()


async def _until_cancelled() -> None:
    await asyncio.Event().wait()


async def _work_for(worker: Worker, gateway: Gateway) -> None:
    """Report progress to the parent, then wait until cancelled. Stops when the parent has ended."""
    loop = asyncio.get_running_loop()

    def orphaned() -> None:
        loop.remove_reader(worker.lifeline)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(worker.lifeline, orphaned)
    try:
        worker.tell(warm=False)
        while not gateway.ready:  # noqa: ASYNC110  nothing signals that models are loaded
            await asyncio.sleep(READY_POLL_S)
        worker.tell(warm=True)
        await _until_cancelled()
    finally:
        loop.remove_reader(worker.lifeline)


def _room_for(connections: int) -> None:
    """Raise the limit on file descriptors to what the gateway needs, if the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
