"""The quickstart on scripted models: stopped anywhere, the same command goes on; finished, it starts anew."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfopt.records import Cycle
from selfopt.verbs.quickstart import QuickstartResult, run_quickstart
from selfopt.wiring.app import App
from tests.loop.kit import World, model, trials_per_slot
from tests.loop.test_continue import Stopped, stop_at

# The package has a function of the same name, which hides the module.
module = importlib.import_module("selfopt.verbs.quickstart")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two scripted models in the place of the two that are pulled."""

    async def nothing_to_fetch(app: App, name: str, show: Callable[[str], None]) -> None:
        """They are here."""

    monkeypatch.setattr(module, "MODELS", ("scripted/m", "scripted/big"))
    monkeypatch.setattr(module, "fetch_model", nothing_to_fetch)
    return World(tmp_path / "world", {"m": model("fenced", load_ms=2000, initially_loaded=False), "big": model()})


async def run(world: World, on_step: Callable[[str], None] = lambda step: None, **settings: Any) -> QuickstartResult:
    """The command, in an app of its own."""
    with world.app(**settings) as app:
        app.on_step = on_step
        return await run_quickstart(app, world.events.append, show=lambda text: None)


@pytest.mark.parametrize(
    ("step", "times"),
    [("begun", 1), ("planned", 1), ("loop_ended", 1), ("begun", 2), ("loop_ended", 2), ("enforced", 3), ("loop_ended", 3)],
)
async def test_stopped_in_a_step_it_repeats_none(world: World, step: str, times: int) -> None:
    """Three cycles, each once, whatever was stopped; also between the end of a loop and the note that the step is through."""
    with pytest.raises(Stopped):
        await run(world, stop_at(step, times))
    result = await run(world)
    assert [c.number for c in result.cycles] == [1, 2, 3]
    with world.ledger() as ledger:
        assert len(list(ledger.read(Cycle))) == 3
        assert set(trials_per_slot(ledger).values()) == {1}
    first, second = (result.rows[0].before, result.rows[0].after)
    assert first is not None
    assert second is not None
    assert second.metrics.accuracy > first.metrics.accuracy
    assert result.served[0].refused, "no model passes these conversations"


async def test_stopped_while_it_shows_the_rules_it_does_not_start_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything was measured; only the end is repeated. Then it is finished, and the next call measures afresh."""

    def stopped(app: App) -> list[Path]:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_artefacts", stopped)
        with pytest.raises(Stopped):
            await run(world)
    assert "shown" not in json.loads((world.home / "quickstart.json").read_text("utf-8"))["done"]
    again = await run(world)
    assert [c.number for c in again.cycles] == [1, 2, 3]
    assert not any("an earlier quickstart finished in this home" in event.text for event in world.events)
    anew = await run(world)
    assert any("an earlier quickstart finished in this home" in event.text for event in world.events)
    assert [c.number for c in anew.cycles] == [4, 5, 6]


async def test_with_warm_up_switched_off_it_says_so_and_ends_well(world: World) -> None:
    """An off-switch is no error."""
    result = await run(world, warm_up={"enabled": False})
    assert len(result.cycles) == 3
    assert any("switched off" in text for text in world.said("note"))
