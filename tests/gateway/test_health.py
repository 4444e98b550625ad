"""Whoever balances or supervises may ask whether the gateway is there, and learns nothing else."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from pathlib import Path

import pytest

from selfopt.gateway import SegmentJournal, segment_file
from selfopt.home import ChainedFile, KeyFile

from .kit import chat, gateway_world, until

CONTAINER = Path(__file__).parents[2] / "deploy" / "Containerfile"
STRANGERS: list[dict[str, str]] = [
    {},
    {"Host": "balancer.example:8080"},
    {"Authorization": "Bearer sk-wrong"},
    {"Origin": "https://example.org"},
    {"Sec-Fetch-Site": "cross-site"},
]


def make_key(home: Path) -> str:
    """Make a home with a key."""
    home.mkdir()
    return KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("mine")[0]


@pytest.mark.parametrize("keyed", [False, True])
async def test_anybody_may_ask_whether_the_gateway_is_there(tmp_path: Path, keyed: bool) -> None:
    """With and without keys, under any Host."""
    if keyed:
        make_key(tmp_path / "home")
    async with gateway_world(tmp_path) as world:
        for headers in STRANGERS:
            for path in ("/health", "/ready", "/health?from=balancer"):
                answer = await world.get(path, headers)
                assert (answer.status, answer.body) == (200, {"status": "ok"}), (path, headers)
                assert "access-control-allow-origin" not in answer.headers


async def test_nothing_else_is_open(tmp_path: Path) -> None:
    """Neither paths that look alike nor other methods, nor anything else when the file of keys is broken."""
    make_key(tmp_path / "home")
    async with gateway_world(tmp_path) as world:
        for path in ("/metrics", "/v1/models", "/openapi.json", "/health/", "/ready/x", "//health", "/HEALTH"):
            assert (await world.get(path)).status == 401, path
        for path in ("/health", "/ready"):
            assert (await world.post({}, path=path)).status == 401
        (tmp_path / "home" / "gateway_keys.json").write_text("{", "utf-8")
        ring = world.gateway.parts.keys
        await until(lambda: not ring.valid)
        assert (await world.get("/health")).status == (await world.get("/ready")).status == 200
        for path in ("/metrics", "/v1/models", "/openapi.json"):
            assert (await world.get(path)).status == 401
        assert (await world.post(chat())).status == 401


async def test_nobody_without_a_key_may_send_a_body_along(tmp_path: Path) -> None:
    """It would be kept in memory. The gateway answers before it reads any of it."""
    key = make_key(tmp_path / "home")
    async with gateway_world(tmp_path) as world:
        for line in (b"Content-Length: 1000000", b"Transfer-Encoding: chunked"):
            answer = await world.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % line)
            assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert (await world.get("/health", {"Content-Length": "0"})).status == 200
        head = b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\nAuthorization: Bearer %s\r\n\r\n{}"
        assert (await world.raw(head % key.encode())).startswith(b"HTTP/1.1 200 ")


async def test_who_is_not_ready_does_not_say_where_its_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is for the log."""

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with gateway_world(tmp_path, on_disk=True) as world:
        journal = world.gateway.parts.chat.journal
        assert isinstance(journal, SegmentJournal)
        with monkeypatch.context() as patched:
            patched.setattr(segment_file, "write_all", full)
            await world.post(chat())
            await until(lambda: journal.fault != "")
            answer = await world.get("/ready")
        assert (answer.status, answer.error["code"]) == (503, "audit_failed")
        assert str(tmp_path) not in answer.text
        assert os.strerror(errno.ENOSPC) not in answer.text


async def test_the_container_asks_itself(tmp_path: Path) -> None:
    """The command of its file succeeds while a gateway answers on the port, and fails where none does."""
    lines = [line for line in CONTAINER.read_text("utf-8").splitlines() if line.startswith("HEALTHCHECK")]
    assert len(lines) == 1
    program, *arguments = json.loads(lines[0].partition(" CMD ")[2])
    assert program == "python"

    async def healthy(port: int) -> bool:
        told = [argument.replace("8484", str(port)) for argument in arguments]
        asked = await asyncio.create_subprocess_exec(sys.executable, *told, stderr=asyncio.subprocess.DEVNULL)
        return await asked.wait() == 0

    make_key(tmp_path / "home")
    async with gateway_world(tmp_path) as world:
        port = world.port
        assert await healthy(port)
    assert not await healthy(port)
