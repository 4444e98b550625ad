"""Models whose rules require warm-up are loaded before traffic, and kept loaded."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from selfopt.gateway import KeepWarm, Warmed
from selfopt.records import RoutingConfig, Rule

from .kit import gateway_world, until


def config(*models: str, allow: bool = True) -> RoutingConfig:
    """Return rules that require warm-up for these models."""
    rules = tuple(Rule(rule_id=f"r-{m}", model=m, phase="atomic", allow=allow, warm_up=True) for m in models)
    return RoutingConfig(version=1, rules=rules)


class Loads:
    """A `Warmer` that notes which models it was asked for."""

    def __init__(self, problem: str = "", took_ms: list[float | None] | None = None) -> None:
        self.asked: list[str] = []
        self.problem = problem
        self.took_ms = took_ms or []
        self.gate = asyncio.Event()

    async def warm(self, model: str) -> Warmed:
        """Wait for the gate, then return what it took."""
        self.asked.append(model)
        await self.gate.wait()
        return Warmed(self.took_ms.pop(0) if self.took_ms else None, self.problem)


async def test_ready_means_that_no_request_waits_for_a_first_load() -> None:
    """At the start and after new rules; denied models are not loaded."""
    loads = Loads()
    warmth = KeepWarm(loads.warm, 1000.0)
    warmth.start(config("a/1"))
    await until(lambda: loads.asked == ["a/1"])
    seen = [warmth.ready]
    loads.gate.set()
    await until(lambda: warmth.ready)
    loads.gate.clear()
    warmth.follow(config("a/1", "b/2"))
    seen.append(warmth.ready)
    loads.gate.set()
    await until(lambda: warmth.ready)
    assert "b/2" in loads.asked
    warmth.follow(config("c/3", allow=False))
    assert [*seen, warmth.ready] == [False, False, True]
    await warmth.close()
    await warmth.close()
    assert "c/3" not in loads.asked


async def test_models_are_seen_to_again_and_a_fault_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A model that its server dropped is loaded in the next round."""
    loads = Loads("no such server")
    loads.gate.set()
    warmth = KeepWarm(loads.warm, 0.001)
    with caplog.at_level(logging.WARNING, "selfopt.gateway"):
        warmth.start(config("a/1"))
        await until(lambda: len(loads.asked) >= 3)
    assert warmth.ready
    assert [r.message for r in caplog.records].count("a/1 could not be made ready: no such server") == 1
    await warmth.close()


async def test_each_load_is_told_and_a_model_that_stays_is_not(caplog: pytest.LogCaptureFixture) -> None:
    """The first load, and the one after the model was dropped."""
    loads = Loads(took_ms=[500.0, None, 700.0])
    loads.gate.set()
    warmth = KeepWarm(loads.warm, 0.001)
    with caplog.at_level(logging.INFO, "selfopt.gateway"):
        warmth.start(config("a/1"))
        await until(lambda: len(loads.asked) >= 5)
    await warmth.close()
    assert [record.message for record in caplog.records] == [
        "a/1 is ready (loaded in 500 ms)",
        "a/1 had been dropped and is loaded again (700 ms)",
    ]


async def test_a_gateway_whose_rules_want_warmth_gets_ready(tmp_path: Path) -> None:
    """At once without such rules, else after its models were dealt with."""
    async with gateway_world(tmp_path) as world:
        assert (await world.get("/ready")).status == 200
        world.enforcer.set_rule("up/good", "atomic", allow=True, warm_up=True)
        await world.reload()
        warmth = world.gateway.parts.warmth
        assert warmth is not None
        await until(lambda: warmth.ready)
        assert (await world.get("/ready")).status == 200
