"""What one serving process voids is void in all of them, and each may be told what became of the others' requests."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from selfopt.records import RoutingConfig, Rule
from selfopt.routing import rule_id_of
from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted
from selfopt.wiring.app import App
from tests.gateway.test_escalation import MODELS, READS, asking, serve_when

from .test_workers import METRICS, Served, served

SCRIPT = Script.model_validate({"models": {**MODELS, "other": {"default": {"text": "I am the other."}}}})
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


async def post(gateway: Served, body: dict[str, Any], path: bytes = b"/v1/chat/completions") -> bytes:
    data = json.dumps(body).encode()
    return await gateway.ask(HEAD % (path, len(data)) + data)


def header(answer: bytes, name: bytes) -> str:
    found = re.search(rb"\r\n%s: ([^\r]+)" % name, answer)
    return found[1].decode() if found is not None else ""


async def total(gateway: Served, name: bytes, workers: int = 2) -> float:
    """A figure of all workers. One may show those of the others as they were some seconds ago."""
    found = re.findall(rb'\n%sworker="\d+"\} (\S+)' % re.escape(name), await gateway.ask(METRICS))
    return sum(map(float, found)) if len(found) == workers else -1


@pytest.fixture
async def behind() -> AsyncIterator[ScriptedServer]:
    server = await serve_scripted(SCRIPT)
    yield server
    await server.close()


async def test_workers_share_told_outcomes_and_what_is_void(tmp_path: Path, behind: ScriptedServer) -> None:
    (tmp_path / "own.toml").write_text(
        f'[endpoints.up]\nkind = "openai_compatible"\nbase_url = "{behind.base_url}"\nlocal = true\n', "utf-8"
    )
    environ = {"SELFOPT_HOME": str(tmp_path / "home"), "SELFOPT_CONFIG": str(tmp_path / "own.toml")}
    rule = Rule(
        rule_id=rule_id_of("up/m", "atomic"), model="up/m", phase="atomic", allow=True, fallback="up/other", variant=READS,
        serve_when=serve_when(),
    )  # fmt: skip
    async with App.open(environ=environ, cwd=tmp_path) as app:
        version = app.enforcer.apply([rule]).version
    async with served(tmp_path, behind, workers=2) as gateway:

        async def both() -> bool:
            return len(gateway.workers()) == 2

        await gateway.until(both)
        ids = [header(await post(gateway, asking(f"weather, surely {n}")), b"x-request-id") for n in range(12)]
        for name in ids * 2:
            assert b" 200 " in await post(gateway, {"id": name, "success": True}, b"/v1/feedback")

        async def all_told() -> bool:
            seen_told.append(await total(gateway, b'selfopt_told_outcomes_total{outcome="right",'))
            return seen_told[-1] >= 12

        seen_told: list[float] = []
        await gateway.until(all_told)
        assert seen_told[-1] == 12
        reasons: list[str] = []
        while "voided" not in reasons:
            assert len(reasons) < 200
            reasons.append(header(await post(gateway, asking(f"weather, maybe {len(reasons)}")), b"x-selfopt-escalated"))
        assert set(reasons) == {"unsure", "voided"}

        async def void_in_all() -> bool:
            voids = rb'\nselfopt_void_thresholds\{reason="escalations",worker="(\d+)"\} 1'
            seen.update(re.findall(voids, await gateway.ask(METRICS)))
            return len(seen) == 2

        seen: set[bytes] = set()
        await gateway.until(void_in_all)
        for number in range(12):
            answer = await post(gateway, asking(f"weather, surely, afterwards {number}"))
            assert header(answer, b"x-selfopt-escalated") == "voided"
        config = RoutingConfig.model_validate_json((tmp_path / "home" / "routing_config.json").read_text())
        assert config.version == version + 1
        assert config.rules[0].voided is not None
        assert config.rules[0].voided.kind == "escalations"
        code, text = await gateway.command("audit", "verify")
        assert code == 0, text
