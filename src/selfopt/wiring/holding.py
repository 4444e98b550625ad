"""Who may measure: one process in a home, and one for each model and server under a ledger in a database."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from selfopt.errors import LockedError
from selfopt.home import ProcessLock, escape_control
from selfopt.settings.executing import LOCAL

if TYPE_CHECKING:
    from selfopt.ledger.postgres import PostgresLedger
    from selfopt.ledger.postgres_holding import Holder

    from .app import App

_TURN = "the turn to begin a cycle"
_TURN_S, _AGAIN_S = 60.0, 0.05


def database_of(app: App) -> PostgresLedger:
    """Returns the ledger of an app whose settings name a database. StoreError when it cannot be used."""
    from selfopt.ledger.postgres import PostgresLedger

    ledger = app.ledger
    assert isinstance(ledger, PostgresLedger)
    return ledger


@contextmanager
def measuring(app: App, purpose: str, models: Iterable[str]) -> Iterator[None]:
    """Be the one process that measures in this home and, where a database holds its ledger, these models.

    Raises LockedError, which names the other one; StoreError where texts could not be stored.
    """
    with ProcessLock(app.home.lock)(purpose):
        if app.settings.blobs is not None:
            app.kept_ledger.blobs.check()  # before anything is asked and paid for
        if app.settings.ledger is None:
            yield
            return
        ledger, names = database_of(app), held_names(app, models)
        ledger.take(names, purpose)
        try:
            if app.handed is not None:
                app.handed.refresh()
            yield
        finally:
            ledger.give_back(names)


def held_names(app: App, models: Iterable[str]) -> list[str]:
    """What a process that measures models has to itself: their records, and the servers that would be disturbed."""
    found: dict[str, None] = {}
    for model in models:
        found[model_name(app, model)] = None
        if (server := _server(app, model)) is not None:
            found[server] = None
    return list(found)


def model_name(app: App, model: str) -> str:
    """Returns the name under which the records of a model are held."""
    return f"model {app.settings.one_name(model)}"


def _server(app: App, model: str) -> str | None:
    """Returns the name of a model's server. An address of loopback means another one on each machine."""
    entry = app.settings.endpoint_of(model)[1]
    if entry.base_url is None:
        return f"engine on {socket.gethostname()}" if entry.traits.engine else None
    parts = urlsplit(entry.base_url if "://" in entry.base_url else f"http://{entry.base_url}")
    host, port = (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)
    if not entry.is_loopback:
        return escape_control(f"server {host}:{port}", 200)
    far = app.settings.executor not in (LOCAL, "ray") and entry.ray_resources
    return escape_control(f"server {port} on {app.settings.executor if far else socket.gethostname()}", 200)


@asynccontextmanager
async def in_turn(app: App) -> AsyncIterator[None]:
    """Be the only one under the ledger that reads and adds what processes number or name alike, for a moment.

    Raises LockedError when others do not come to an end.
    """
    if app.settings.ledger is None:
        yield
        return
    ledger, until = database_of(app), time.monotonic() + _TURN_S
    while True:
        try:
            ledger.take([_TURN], "loop")
            break
        except LockedError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(_AGAIN_S)
    try:
        yield
    finally:
        ledger.give_back([_TURN])


def holders(app: App) -> tuple[Holder, ...]:
    """Who works on what under the ledger of a database; nobody where it is a file. StoreError when it cannot be used."""
    return () if app.settings.ledger is None else database_of(app).holders()
