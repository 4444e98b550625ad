"""The home, or a file of it, is taken away while a command works: an error at the next commit, whatever the command."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from selfopt.errors import StoreError
from selfopt.measure.progress import Progress
from selfopt.verbs.comparing import CompareRequest, compare_models
from selfopt.verbs.looping import parse_target, run_loop
from selfopt.verbs.measuring import MeasureRequest, measure_model
from selfopt.wiring.app import App
from tests.loop.kit import World, model


def _remove(home: Path) -> None:
    shutil.rmtree(home)


def _rename(home: Path) -> None:
    home.rename(home.with_name("elsewhere"))


def _replace(home: Path) -> None:
    _rename(home)
    home.mkdir()


def _remove_ledger(home: Path) -> None:
    (home / "ledger.sqlite3").unlink()


@pytest.mark.parametrize("take", [_remove, _rename, _replace, _remove_ledger])
@pytest.mark.parametrize("verb", ["supervise", "compare", "loop"])
async def test_a_home_that_is_taken_away_is_an_error(tmp_path: Path, verb: str, take: Callable[[Path], None]) -> None:
    """StoreError that names the file; nothing is reported as measured."""
    world = World(tmp_path / "world", {"m": model(), "big": model(extended="native")})
    seen: list[Progress] = []

    def progress(event: Progress) -> None:
        seen.append(event)
        if event.done == 2 and world.home.exists() and not (tmp_path / "taken").exists():
            (tmp_path / "taken").touch()
            take(world.home)

    async def work(app: App) -> object:
        if verb == "supervise":
            return await measure_model(app, MeasureRequest(model="scripted/m", phase="atomic", n_runs=3), progress)
        if verb == "compare":
            return await compare_models(app, CompareRequest(models=("scripted/m", "scripted/big")), progress)
        return await run_loop(app, [parse_target(app, "scripted/m atomic native_api")], progress=progress)

    with world.app() as app, pytest.raises(StoreError, match=r"ledger\.sqlite3.* was removed, renamed or replaced"):
        await work(app)
    assert seen
