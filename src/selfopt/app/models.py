"""`models`: the embedded engine's store, and what servers tell of residency."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfopt.engine import PullProgress
from selfopt.errors import SelfoptError, UsageError

from .app import App

__all__ = ["fetch_model", "list_models", "model_status", "pull_model", "remove_model"]


class _PullStopped(Exception):
    """Ends a pull from within its progress callback."""


def list_models(app: App) -> list[dict[str, Any]]:
    """Every model of the embedded engine's catalogue: name, size_bytes, sha256, installed, path."""
    rows = []
    for name, entry in sorted(app.catalogue.items()):
        path = app.store.path_of(name)
        rows.append(
            {
                "name": name,
                "size_bytes": entry.size_bytes,
                "sha256": entry.sha256,
                "installed": path is not None,
                "path": str(path) if path else None,
            }
        )
    return rows


def _embedded(app: App, name: str) -> str:
    model = app.resolve_model(name)
    if app.settings.endpoint_of(model)[1].kind != "embedded":
        raise UsageError(f"{name} is not a model of the embedded engine; pull it where it is served (for Ollama: ollama pull)")
    return model


def pull_model(app: App, name: str, show: Callable[[str], None]) -> tuple[Path, bool]:
    """Fetch and verify one model; its path and whether anything was fetched. `show` gets a sign of life every second."""
    model = _embedded(app, name)
    path = app.store.path_of(model)
    if path is not None:
        return path, False

    def progress(event: PullProgress) -> None:
        show(pull_line(event))

    return app.store.pull(app.catalogue[model], progress), True


async def fetch_model(app: App, name: str, show: Callable[[str], None]) -> tuple[Path, bool]:
    """`pull_model` for a running event loop: other tasks go on, and cancelling stops the pull, which the next one continues."""
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
    """One line of progress with a bar."""
    share = min(1.0, event.bytes_done / event.bytes_total) if event.bytes_total else 0.0
    bar = "#" * round(24 * share)
    return f"  {event.model} [{bar:24}] {share:4.0%} of {event.bytes_total / 1e6:.0f} MB  {event.stage}"


async def model_status(app: App, names: Sequence[str]) -> list[dict[str, Any]]:
    """State of models at their servers, without loading any. Default: installed models and aliases of local endpoints."""
    if names:
        models = [app.resolve_model(name) for name in names]
    else:
        aliased = [m for m in app.settings.models.aliases.values() if app.settings.is_local(m)]
        models = sorted({m.name for m in app.store.installed()} | set(aliased))
    rows = []
    for model in models:
        provider, _ = app.settings.endpoint_of(model)
        status = await app.residency(provider).status(app.server_model(model))
        rows.append({"name": model, **status.model_dump(mode="json")})
    return rows


def remove_model(app: App, name: str) -> bool:
    """Remove a pulled model; False when it was not there."""
    return app.store.remove(_embedded(app, name))
