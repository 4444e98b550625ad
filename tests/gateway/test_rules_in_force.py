"""Only the newest version that the trail sealed replaces the rules of a running gateway."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from selfopt.home import atomic_write_text
from selfopt.routing import rule_id_of

from .kit import World, gateway_world, tool_chat


async def denied(world: World) -> bool:
    """Say whether the model is refused, by its rule or for lack of a sealed one."""
    answer = await world.post(tool_chat())
    if answer.status != 200:
        assert answer.error["code"] in ("refused_by_rules", "audit_failed"), answer.text
    return answer.status != 200


async def two_versions(world: World) -> Path:
    """Write version 1, which allows the model, and version 2, which denies it."""
    world.enforcer.set_rule("up/good", "atomic", allow=True)
    world.enforcer.set_rule("up/good", "atomic", allow=False)
    await world.reload()
    assert await denied(world)
    return world.app.home.routing_config


async def test_an_older_version_in_its_place_is_not_in_force(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whether or not the newer one still exists. An error is logged."""
    async with gateway_world(tmp_path) as world:
        path = await two_versions(world)
        versions = world.app.home.routing_versions
        shutil.copy(versions / "1.json", path)
        await world.reload()
        assert await denied(world)
        assert "holds version 1, which is older than version 2" in caplog.text
        assert world.gateway.parts.chat.rules.fault
        seen = world.gateway.parts.chat.rules.faults
        (versions / "2.json").unlink()
        path.touch()
        await world.reload()
        assert await denied(world)
        assert world.gateway.parts.chat.rules.faults > seen  # the watcher may look in between


@pytest.mark.parametrize("trail", ["there", "gone", "cut", "gone with its head"])
async def test_rules_that_the_trail_did_not_seal_are_not_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trail: str
) -> None:
    """Edited rules, with or without the hash of a record."""
    async with gateway_world(tmp_path) as world:
        path = await two_versions(world)
        home = world.app.home
        if trail == "cut":
            home.audit_trail.write_bytes(home.audit_trail.read_bytes().splitlines(keepends=True)[0])
        elif trail != "there":
            home.audit_trail.unlink()
        if trail == "gone with its head":
            home.audit_head.unlink()
        for edit in ({}, {"audit_hash": ""}, {"version": 3}, {"version": 3, "audit_hash": ""}):
            body = json.loads(path.read_text())
            body["rules"][0]["allow"] = True
            path.write_text(json.dumps(body | edit))
            await world.reload()
            assert await denied(world)
        assert "refused" in caplog.text


async def test_a_change_that_is_not_finished_is_not_in_force_yet(tmp_path: Path) -> None:
    """The earlier version stays in force, without an error."""
    async with gateway_world(tmp_path) as world:
        path = await two_versions(world)
        before, head = path.read_bytes(), world.app.home.audit_head.read_bytes()
        world.enforcer.set_rule("up/good", "atomic", allow=True)
        noted = world.app.home.audit_head.read_bytes()
        path.write_bytes(before)
        world.app.home.audit_head.write_bytes(head)  # the last step was not done either
        await world.reload()
        assert await denied(world)
        assert world.gateway.parts.chat.rules.fault == ""
        world.app.home.audit_head.write_bytes(noted)
        world.enforcer.load()
        await world.reload()
        assert not await denied(world)


async def test_rules_made_by_hand_in_a_fresh_home_are_served_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was sealed yet; from the first sealed version on, they do not count."""
    async with gateway_world(tmp_path) as world:
        path = world.app.home.routing_config
        rule = {"rule_id": rule_id_of("up/good", "atomic"), "model": "up/good", "phase": "atomic"}
        for number, allow in enumerate((False, True), 1):
            body = {"schema_version": 1, "version": 1, "rules": [rule | {"allow": allow}]}
            atomic_write_text(path, json.dumps(body))
            await world.reload()
            assert await denied(world) is not allow
            assert caplog.text.count("made by hand") == number
        by_hand = path.read_text()
        world.enforcer.set_rule("up/good", "atomic", allow=False)
        await world.reload()
        path.write_text(by_hand)
        await world.reload()
        assert await denied(world)
