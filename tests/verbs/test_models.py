"""Models are fetched through one function, whoever asks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import selfopt
from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.meter import PullProgress
from selfopt.engine.store import ModelStore
from selfopt.verbs import models as models_module
from selfopt.verbs.models import fetch_model
from selfopt.wiring.app import App
from tests.cli.world import Project

MODEL = "local/smollm2-135m"


def test_both_doors_fetch_a_model_from_the_same_store(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is fetched is the catalogue's entry, and where it is comes back."""
    asked: list[str] = []

    def pull(store: ModelStore, entry: ModelEntry, progress: Any) -> Path:
        asked.append(entry.name)
        return Path("/there")

    monkeypatch.setattr(ModelStore, "pull", pull)
    assert project.ok("models", "pull", MODEL, "--json").json() == [{"name": MODEL, "path": "/there", "fetched": True}]
    with selfopt.open() as harness:
        assert harness.models.pull(MODEL) == Path("/there")
    assert asked == [MODEL, MODEL]


async def test_cancelling_a_pull_stops_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tasks go on while a model is fetched; a cancelled fetch ends within its next sign of life."""
    begun, ended = threading.Event(), threading.Event()

    def slow(app: App, name: str, show: Any) -> tuple[Path, bool]:
        begun.set()
        try:
            while True:
                show("working")
                ended.wait(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(models_module, "pull_model", slow)
    async with App.open() as app:
        task = asyncio.create_task(fetch_model(app, MODEL, lambda text: None))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended.is_set()


async def test_a_pull_of_what_is_there_returns_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched twice."""
    monkeypatch.setattr(models_module, "pull_model", lambda app, name, show: (Path("/there"), False))
    async with App.open() as app:
        assert await fetch_model(app, MODEL, lambda text: None) == (Path("/there"), False)


def test_a_line_of_progress_has_a_bar() -> None:
    """Share, bar, size, stage; an unknown size is no division by zero."""
    line = models_module.pull_line(PullProgress(model="local/x", stage="downloading", bytes_done=50, bytes_total=100))
    assert "[############            ]  50%" in line
