"""Once there are keys, every request needs one, and each allows what it was made for only."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from selfopt.errors import SettingsError
from selfopt.gateway import FileKeys
from selfopt.home import ChainedFile, CheckedKeys, KeyFile
from selfopt.verbs.keys import add_key, revoke_key
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options

from .kit import chat, gateway_world, options_with, until


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_request_without_a_valid_key_is_nobodys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """401 for every path. The record has the key's id, and the key is nowhere."""
    caplog.set_level(logging.DEBUG)
    home = tmp_path / "home"
    home.mkdir()
    key, entry = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("mine")
    async with gateway_world(tmp_path) as world:
        for headers in ({}, bearer(""), bearer("sk-wrong"), bearer(key + "x"), {"Authorization": key}, bearer("x" * 5000)):
            for answer in (await world.post(chat(), headers), await world.get("/v1/models", headers)):
                assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")
        answer = await world.post(chat(), bearer(key))
        assert answer.status == 200
        assert world.records[-1].key == entry.id
        assert len(world.records) == 1
    for path in home.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes()
    assert key not in caplog.text


async def test_a_key_asks_for_its_models_and_within_its_scopes(tmp_path: Path) -> None:
    """Another model is not found; phase and variant need their scope."""
    home = tmp_path / "home"
    home.mkdir()
    keys = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl"))
    narrow, _ = keys.add("narrow", models=["up/good"])
    wide, _ = keys.add("wide", scopes=["phase", "variant"])
    async with gateway_world(tmp_path) as world:
        world.enforcer.set_rule("up/good", "atomic", allow=True)
        world.enforcer.set_rule("up/other", "atomic", allow=True)
        await world.reload()
        assert (await world.post(chat(), bearer(narrow))).status == 200
        assert (await world.post(chat("up/other"), bearer(narrow))).error["code"] == "model_not_found"
        assert [m["id"] for m in (await world.get("/v1/models", bearer(narrow))).body["data"]] == ["up/good"]
        assert (await world.get("/v1/models/up%2Fother", bearer(narrow))).status == 404
        for header, value in (("x-selfopt-phase", "extended"), ("x-selfopt-variant", "off")):
            assert (await world.post(chat(), {**bearer(narrow), header: value})).error["code"] == "insufficient_scope"
            assert (await world.post(chat(), {**bearer(wide), header: value})).status == 200


async def test_a_key_that_is_made_or_revoked_counts_while_the_gateway_runs(tmp_path: Path) -> None:
    """The first key makes keys required. Both changes are in the trail."""
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat())).status == 200
        key, entry = add_key(world.app, "mine", models=["up/good"])
        ring = world.gateway.parts.keys
        await until(lambda: ring.required)
        assert (await world.post(chat())).status == 401
        assert (await world.post(chat(), bearer(key))).status == 200
        revoke_key(world.app, "mine")
        await until(lambda: ring.find(key) is None)
        assert (await world.post(chat(), bearer(key))).status == 401
        assert (await world.post(chat())).status == 401
        told = [record for record in world.trail if record.event.startswith("key_")]
        assert [record.event for record in told] == ["key_added", "key_revoked"]
        assert told[0].details["key"] == entry.id


async def test_the_first_request_after_a_quiet_time_is_judged_by_the_keys_of_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is watched even when nobody asks."""
    checked = 0
    check = KeyFile.check

    def counted(file: KeyFile) -> CheckedKeys:
        nonlocal checked
        try:
            return check(file)
        finally:
            checked += 1

    monkeypatch.setattr(KeyFile, "check", counted)

    async def taken_up() -> None:
        before = checked
        await until(lambda: checked > before)
        await asyncio.sleep(0.05)

    async with gateway_world(tmp_path) as world:
        key, _ = add_key(world.app, "mine")
        await taken_up()
        assert (await world.post(chat())).status == 401
        assert (await world.post(chat(), bearer(key))).status == 200
        revoke_key(world.app, "mine")
        await taken_up()
        assert (await world.post(chat(), bearer(key))).status == 401


def test_a_file_that_is_damaged_or_gone_opens_nothing(tmp_path: Path) -> None:
    """No key is accepted until the file is restored."""
    file = KeyFile(tmp_path / "keys.json", ChainedFile(tmp_path / "trail.jsonl"))
    key, _ = file.add("mine")
    now = 0.0
    ring = FileKeys(file, clock=lambda: now)
    assert ring.find(key) is not None
    kept = file.path.read_text()
    for change in (lambda: file.path.write_text("{"), file.path.unlink):
        change()
        now += 1
        assert ring.required
        assert ring.find(key) is None
        file.path.write_text(kept)
        now += 1
        assert ring.find(key) is not None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "myhost", ""])
async def test_other_machines_need_a_key_to_be_let_in(tmp_path: Path, host: str) -> None:
    """Without a valid key, only loopback is listened on."""
    environ = {"SELFOPT_HOME": str(tmp_path / "home"), "SELFOPT_CONFIG": str(tmp_path / "none.toml")}
    (tmp_path / "none.toml").write_text("")
    async with App.open(environ=environ, cwd=tmp_path) as app:
        options = options_with(gateway_options(app, None, 0), host=host)
        with pytest.raises(SettingsError, match="selfopt keys add"):
            build_gateway(app, options)
        add_key(app, "mine")
        gateway = build_gateway(app, options)
        await gateway.close()
        revoke_key(app, "mine")
        with pytest.raises(SettingsError, match="selfopt keys add"):
            build_gateway(app, options)


async def test_a_key_written_into_the_file_by_hand_opens_nothing(tmp_path: Path) -> None:
    """Neither while the gateway runs nor when it starts."""
    home = tmp_path / "home"
    home.mkdir()
    own = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl"))
    other = KeyFile(tmp_path / "other.json", ChainedFile(tmp_path / "other.jsonl"))
    key, _ = own.add("mine")
    smuggled, _ = other.add("smuggled")
    async with gateway_world(tmp_path) as world:
        own.path.write_bytes(other.path.read_bytes())
        await until(lambda: world.gateway.parts.keys.find(key) is None)
        for presented in (key, smuggled):
            assert (await world.post(chat(), bearer(presented))).status == 401
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat(), bearer(smuggled))).status == 401
    own.path.unlink()
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat())).status == 401
