"""Shutdown finishes streams within a deadline, takes nobody new, and records everything."""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from selfopt.verbs.verifying import verify_requests

from .kit import chat, gateway_world
from .servers import SSE_HEAD, chunk, event, raw_upstream, whole

BODY = json.dumps({"model": "slow/any", "messages": [{"role": "user", "content": "hi"}], "stream": True}).encode()
DONE = chunk(b"data: [DONE]\n\n") + chunk(b"")


@dataclass
class Held:
    """An upstream that streams one piece, and the rest when told."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One piece, a wait, the end."""
        writer.write(SSE_HEAD + event("first"))
        await self.go_on.wait()
        writer.write(event("last") + DONE)
        await writer.drain()


@dataclass
class Served:
    """A gateway in its own process, with one stream under way."""

    process: asyncio.subprocess.Process
    port: int
    home: Path
    reader: asyncio.StreamReader

    async def is_listening(self) -> bool:
        """Say whether a new connection is accepted."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:
            return False
        writer.close()
        return True

    async def stops_listening(self) -> None:
        """Wait until it accepts nobody; the test's timeout bounds it."""
        async with asyncio.timeout(120):
            while await self.is_listening():  # noqa: ASYNC110  another process is waited for
                await asyncio.sleep(0)

    def records(self) -> list[str]:
        """Return the outcomes in the files of requests."""
        lines = [line for path in (self.home / "requests").glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
        return [found["outcome"] for line in lines if "outcome" in (found := json.loads(line))]


@asynccontextmanager
async def served(tmp_path: Path, url: str, drain_s: float) -> AsyncIterator[Served]:
    """Run `selfopt serve` with a stream whose first piece has come."""
    config = tmp_path / "own.toml"
    config.write_text(
        f'[gateway]\ndrain_s = {drain_s}\n[endpoints.slow]\nkind = "openai_compatible"\nbase_url = "{url}"\n', "utf-8"
    )
    home = tmp_path / "home"
    environ = {**os.environ, "SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(home)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "selfopt",
        "serve",
        "--port",
        "0",
        "--json",
        stdout=asyncio.subprocess.PIPE,
        env=environ,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(60):
            text = await process.stdout.readuntil(b"}")
            port = int(json.loads(text)["base_url"].split(":")[2].split("/")[0])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(BODY) + BODY)
            await reader.readuntil(b"first")
        yield Served(process, port, home, reader)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        if writer is not None:
            writer.close()


async def test_a_stream_under_way_is_finished_and_nobody_new_is_let_in(tmp_path: Path) -> None:
    """After SIGTERM the stream ends, its record is written, and the process exits."""
    held = Held()
    async with raw_upstream(held.talk) as url, served(tmp_path, url, 60) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.stops_listening()
        held.go_on.set()
        async with asyncio.timeout(120):
            rest = await gateway.reader.read()
            code = await gateway.process.wait()
        assert b"last" in rest
        assert b"[DONE]" in rest
        assert code == 130
        assert gateway.records() == ["served"]


@pytest.mark.parametrize("drain_s", [0.2, 600])
async def test_the_end_is_bounded_and_a_second_signal_is_at_once(tmp_path: Path, drain_s: float) -> None:
    """A stream is cut at the deadline or by a second signal, and recorded."""
    held = Held()
    async with raw_upstream(held.talk) as url, served(tmp_path, url, drain_s) as gateway:
        gateway.process.send_signal(signal.SIGTERM)
        await gateway.stops_listening()
        if drain_s > 1:
            gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            code = await gateway.process.wait()
        assert code == 130
        assert gateway.records() == ["cancelled"]


async def test_what_was_served_is_recorded_whatever_else_does_not_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of the drift detectors has a fault, and the records of the requests are closed all the same."""
    async with gateway_world(tmp_path, on_disk=True) as world:
        assert (await world.post(chat())).status == 200
        gateway = world.gateway
        assert gateway.parts.drift is not None
        with monkeypatch.context() as broken:
            broken.setattr(gateway.parts.drift, "close", AsyncMock(side_effect=OSError("no space left on device")))
            with pytest.raises(OSError, match="no space left"):
                await gateway.close()
        report = verify_requests(world.app)
        assert (report.ok, report.n) == (True, 1)
        trail = (tmp_path / "home" / "routing_decisions.jsonl").read_text("utf-8").splitlines()
        assert json.loads(trail[-1])["details"]["final"], "the file of the requests is sealed"


def test_a_log_that_nobody_reads_does_not_keep_the_process(tmp_path: Path) -> None:
    """Its pipe is full, and SIGTERM ends it all the same."""
    ours, its = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(its, fcntl.F_SETPIPE_SZ, 4096)
    config = tmp_path / "own.toml"
    config.touch()
    environ = {**os.environ, "SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "selfopt", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=its, env=environ, cwd=tmp_path) as process:
        os.close(its)
        assert process.stdout is not None
        text = b""
        while not text.rstrip().endswith(b"}"):
            line = process.stdout.readline()
            assert line, os.read(ours, 4096)
            text += line
        link = http.client.HTTPConnection("127.0.0.1", int(json.loads(text)["base_url"].split(":")[2].split("/")[0]), timeout=60)
        for _ in range(200):  # a line each, and a pipe of 4096 bytes holds fewer than 60
            link.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
            assert link.getresponse().read()
        link.close()
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(120) == 130
        finally:
            process.kill()
            os.close(ours)


async def test_messages_that_nobody_reads_hold_up_no_request(tmp_path: Path) -> None:
    """A model that fails is logged each time, the pipe is full, and requests are answered until SIGTERM ends it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1]) if length else 0)  # the probe has none
        fails = b'"bad' in body
        writer.write(
            whole(b"{}", b"500 No") if fails else whole(b'{"choices": [{"message": {"role": "assistant", "content": "x"}}]}')
        )
        await writer.drain()
        writer.close()

    ours, its = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(its, fcntl.F_SETPIPE_SZ, 4096)

    def asks(port: int) -> list[int]:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        found = []
        for number in range(200):
            model = f"slow/bad{number}{'x' * 150}" if number % 2 else "slow/good"
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]})
            link.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            reply = link.getresponse()
            reply.read()
            found.append(reply.status)
        link.close()
        return found

    upstream = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with upstream:
        url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}/v1"
        config = tmp_path / "own.toml"
        config.write_text(
            "[limits]\nretries = 0\n[gateway]\naccess_log = false\nbreaker_faults = 1\n"
            f'[endpoints.slow]\nkind = "openai_compatible"\nbase_url = "{url}"\n',
            "utf-8",
        )
        environ = {**os.environ, "SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(tmp_path / "home")}
        command = (sys.executable, "-m", "selfopt", "serve", "--port", "0", "--json")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=its, env=environ, cwd=tmp_path
        )
        os.close(its)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(120):
                text = await process.stdout.readuntil(b"}")
                port = int(json.loads(text)["base_url"].split(":")[2].split("/")[0])
                statuses = await asyncio.to_thread(asks, port)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 130
            assert statuses.count(200) == 100
            assert os.read(ours, 65536).count(b"and is left alone") >= 10
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(ours)
