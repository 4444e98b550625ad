"""`models`: the embedded engine's model files, and the status of models at their servers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from selfopt.engine.meter import PullProgress
from selfopt.errors import SelfoptError, UsageError
from selfopt.wiring.app import App

PLACE_S = 3.0


class _PullStopped(Exception):
    """Stops a pull; raised in its progress callback."""


def list_models(app: App) -> list[dict[str, Any]]:
    """List the models of the catalogue and the installed ones that it does not have.

    Returns:
        Rows of name, size_bytes, sha256, installed, path, known (in the catalogue).
    """
    rows = [_row(name, entry.size_bytes, entry.sha256, _path_of(app, name)) for name, entry in app.catalogue.items()]
    others = [m for m in app.store.installed() if m.name not in app.catalogue]
    rows += [_row(m.name, m.size_bytes, m.sha256, app.store.path_of(m.name), known=False) for m in others]
    return sorted(rows, key=lambda row: str(row["name"]))


def _row(name: str, size_bytes: int, sha256: str, path: Path | None, *, known: bool = True) -> dict[str, Any]:
    installed = {"installed": path is not None, "path": str(path) if path else None, "known": known}
    return {"name": name, "size_bytes": size_bytes, "sha256": sha256, **installed}


def _path_of(app: App, name: str) -> Path | None:
    """Return the file of a catalogue model. None when the catalogue's file is not pulled."""
    found = app.store.find(name)
    return app.store.path_of(name) if found is not None and found.sha256 == app.catalogue[name].sha256 else None


def _embedded(app: App, name: str) -> str:
    model = app.resolve_model(name)
    if not app.settings.endpoint_of(model)[1].traits.engine:
        raise UsageError(f"{name} is not a model of the embedded engine; pull it where it is served (for Ollama: ollama pull)")
    return model


def pull_model(app: App, name: str, show: Callable[[str], None]) -> tuple[Path, bool]:
    """Fetch and verify a model. Returns its path and whether anything was fetched.

    Args:
        show: gets a line of progress every second.
    """
    model = _embedded(app, name)
    path = _path_of(app, model)
    if path is not None:
        return path, False
    return app.store.pull(app.catalogue[model], lambda event: show(pull_line(event))), True


async def fetch_model(app: App, name: str, show: Callable[[str], None]) -> tuple[Path, bool]:
    """Pull a model without blocking the event loop.

    Cancelling stops the pull, and the next one continues it.
    """
    stopped = threading.Event()

    def watched(text: str) -> None:
        if stopped.is_set():
            raise _PullStopped
        show(text)

    pulling = asyncio.ensure_future(asyncio.to_thread(pull_model, app, name, watched))
    try:
        return await asyncio.shield(pulling)
    except asyncio.CancelledError:
        stopped.set()
        with contextlib.suppress(_PullStopped, SelfoptError):
            await pulling
        raise


def pull_line(event: PullProgress) -> str:
    """Format one line of progress with a bar."""
    share = min(1.0, event.bytes_done / event.bytes_total) if event.bytes_total else 0.0
    bar = "#" * round(24 * share)
    return f"  {event.model} [{bar:24}] {share:4.0%} of {event.bytes_total / 1e6:.0f} MB  {event.stage}"


async def model_status(app: App, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the status of models at their servers without loading any.

    Args:
        names: empty for the installed models and the aliases of models on this machine.
    """
    if names:
        models = [app.resolve_model(name) for name in names]
    else:
        models = sorted({m.name for m in app.store.installed() if m.name in app.catalogue} | set(_aliased(app)))
    rows = []
    for model in models:
        status = await app.sender.residency(model, asked=model).status(app.sender.server_model(model))
        rows.append({"name": model, "installed": await _is_installed(app, model), **status.model_dump(mode="json")})
    return rows


async def _is_installed(app: App, model: str) -> bool | None:
    """Whether a model is where it is served; None where the server does not tell."""
    provider, entry = app.settings.endpoint_of(model)
    if entry.traits.engine:
        return app.store.path_of(model) is not None
    with contextlib.suppress(SelfoptError):
        found = await app.sender.installed(provider)
        name = app.sender.server_model(model)
        return (name in found or f"{name}:latest" in found) if found else None
    return None


def _aliased(app: App) -> Iterator[str]:
    """Yield the local models that aliases name. `doctor` reports aliases that name nothing."""
    for alias in app.settings.models.aliases:
        with contextlib.suppress(SelfoptError):
            model = app.resolve_model(alias)
            if app.settings.is_local(model):
                yield model


def remove_model(app: App, name: str) -> bool:
    """Remove a pulled model, in the catalogue or not. False when it was not there."""
    if any(m.name == name for m in app.store.installed()):
        return app.store.remove(name)
    return app.store.remove(_embedded(app, name))


async def places_of(app: App, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return where models are and whether they are loaded, without loading any. No remote endpoint is asked.

    Returns:
        Rows of name, where (`here`, `remote`, `engine` for a child of the process that serves, `unknown`), state
        (as of `ModelStatus`) and problem (why a server could not be asked).
    """
    return list(await asyncio.gather(*(_place(app, name) for name in names)))


async def _place(app: App, name: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "where": "unknown", "state": "unknown", "problem": ""}
    model = app.known_model(name)
    if model is None:
        return row | {"problem": "no endpoint of the settings has it"}
    if not app.settings.is_local(model):
        return row | {"where": "remote"}
    if app.settings.endpoint_of(model)[1].traits.engine:
        return row | {"where": "engine"}
    try:
        async with asyncio.timeout(PLACE_S):
            status = await app.sender.residency(model, asked=model).status(app.sender.server_model(model))
    except TimeoutError:
        return row | {"where": "here", "problem": "its server did not answer in time"}
    except SelfoptError as error:
        return row | {"where": "here", "problem": str(error)}
    problem = "its server does not answer" if status.answers is False else ""
    return row | {"where": "here", "state": status.state, "problem": problem}
