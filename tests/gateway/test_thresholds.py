"""What serves a model that has to be sure is looked at, so that another one behind its name is noticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from selfopt.gateway import ThresholdWatch
from selfopt.records import Environment, ModelStatus, RoutingConfig, Rule, evidence_key
from tests.looptime import pass_time

from .kit import gateway_world, until
from .test_escalation import serve_when


def config(*models: str) -> RoutingConfig:
    """Return rules that serve when sure for these models."""
    rules = (
        Rule(rule_id=f"r-{m}", model=m, phase="atomic", allow=True, fallback="up/large", serve_when=serve_when()) for m in models
    )
    return RoutingConfig(version=1, rules=tuple(rules))


@pytest.mark.own_time
async def test_models_are_looked_at_at_the_start_when_rules_change_and_regularly() -> None:
    """One whose server fails keeps nobody from being looked at; where no rule asks, nothing runs."""
    looked: list[str] = []

    async def look(model: str) -> None:
        looked.append(model)
        if model == "a/1":
            raise OSError("gone")

    watch = ThresholdWatch(look, 60.0)
    watch.follow(RoutingConfig(version=1, rules=(Rule(rule_id="r", model="x/1", phase="atomic", allow=True),)))
    watch.follow(config("a/1", "b/2"))
    await until(lambda: looked == ["a/1", "b/2"])
    watch.follow(config("c/3"))
    await until(lambda: looked[2:] == ["c/3"])
    while looked[3:] != ["c/3"]:
        pass_time(61.0)
        await asyncio.sleep(0)
    await watch.close()
    await watch.close()


@pytest.mark.own_time
async def test_the_start_waits_for_the_first_look_and_not_for_ever() -> None:
    """Where no rule asks, it waits for nothing."""
    answers, looked = asyncio.Event(), []

    async def look(model: str) -> None:
        await answers.wait()
        looked.append(model)

    watch = ThresholdWatch(look, 60.0)
    await watch.begin(RoutingConfig(version=1))
    begun = asyncio.create_task(watch.begin(config("a/1")))
    await asyncio.sleep(0)
    assert not begun.done()
    answers.set()
    await begun
    assert looked == ["a/1"]
    await watch.close()
    answers.clear()
    silent = ThresholdWatch(look, 60.0)
    begun = asyncio.create_task(silent.begin(config("b/2")))
    await asyncio.sleep(0)
    pass_time(5.1)
    await begun
    assert looked == ["a/1"]
    await silent.close()


async def test_what_a_server_says_of_a_model_is_what_thresholds_are_held_against(tmp_path: Path) -> None:
    async with gateway_world(tmp_path) as world:
        calibrated = Environment(endpoint="up", model="up/good", digest="sha256:old")
        when = serve_when(environment=calibrated, evidence_key=evidence_key("", calibrated))
        rule = Rule(rule_id="r", model="up/good", phase="atomic", allow=True, fallback="up/other", serve_when=when)
        attempts = world.gateway.parts.chat.attempts
        assert attempts._voided(rule) is None
        upstreams = attempts._upstreams
        upstreams.tell("up/good", ModelStatus(state="loaded", digest="sha256:new"))  # type: ignore[attr-defined]
        assert attempts._voided(rule) is not None
        upstreams.tell("up/good", ModelStatus(state="loaded", digest="sha256:old"))  # type: ignore[attr-defined]
        assert attempts._voided(rule) is None
