"""`serve --workers N`, as real processes behind one port: one dies, the others serve on, and everything that was served is on record."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from selfopt.errors import UsageError
from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted
from selfopt.wiring.app import App
from selfopt.wiring.workers import refuse_embedded

BODY = json.dumps({"model": "up/good", "messages": [{"role": "user", "content": "hi"}]}).encode()
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass
class Served:
    """A gateway of several processes."""

    process: asyncio.subprocess.Process
    port: int
    home: Path
    environ: dict[str, str]
    errors: list[str] = field(default_factory=list)

    def workers(self) -> dict[int, psutil.Process]:
        """By pid."""
        return {child.pid: child for child in psutil.Process(self.process.pid).children()}

    async def ask(self, data: bytes = POST % len(BODY) + BODY) -> bytes:
        """What comes back; b"" where the connection is lost."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(data)
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
        except ConnectionError:
            return b""
        return answer

    async def who(self) -> str:
        """The number of the worker that answers."""
        found = re.search(rb'selfopt_connections\{worker="(\d+)"\}', await self.ask(METRICS))
        return found[1].decode() if found is not None else ""

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """The test's timeout bounds it."""
        async with asyncio.timeout(60):
            while not await holds():  # noqa: ASYNC110  another process is waited for
                await asyncio.sleep(0)

    def records(self) -> list[dict[str, str]]:
        """Of requests, in all files. A line that is still being written has no end, and does not count yet."""
        texts = [path.read_text("utf-8") for path in (self.home / "requests").glob("*.jsonl")]
        lines = [line for text in texts for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [found for line in lines if "outcome" in (found := json.loads(line))]

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of another command in the same home."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "selfopt", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=self.environ, cwd=self.home.parent,
        )  # fmt: skip
        text, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, text.decode()


@asynccontextmanager
async def served(tmp_path: Path, upstream: ScriptedServer, workers: int = 3, settings: str = "") -> AsyncIterator[Served]:
    """Until it is told to end."""
    config = tmp_path / "own.toml"
    config.write_text(
        f'{settings}[endpoints.up]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\nlocal = true\n', "utf-8"
    )
    home = tmp_path / "home"
    environ = {**os.environ, "SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(home)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "selfopt", "serve", "--port", "0", "--json", "--workers", str(workers), stdout=asyncio.subprocess.PIPE,
        env=environ, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            text = await process.stdout.readuntil(b"}")
        port = int(json.loads(text)["base_url"].split(":")[2].split("/")[0])
        yield Served(process, port, home, environ)
    finally:
        children = psutil.Process(process.pid).children() if process.returncode is None else []
        for each in children:
            each.kill()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def upstream() -> ScriptedServer:
    """One that says Hello."""
    return await serve_scripted(Script.model_validate({"models": {"good": {"default": {"text": "Hello."}}}}))


async def test_a_worker_dies_and_requests_go_on(tmp_path: Path) -> None:
    """Another takes its place; whatever was answered is recorded, and trail and requests verify."""
    behind = await upstream()
    async with served(tmp_path, behind) as gateway:
        seen: set[str] = set()

        async def all_there() -> bool:
            seen.update({await gateway.who() for _ in range(4)} - {""})
            return seen == {"0", "1", "2"}

        await gateway.until(all_there)
        before = set(gateway.workers())
        assert len(before) == 3
        answers = [await gateway.ask() for _ in range(30)]
        assert all(b"Hello." in answer for answer in answers)

        async def on_disk() -> bool:  # within 100 ms; what was answered in the last of them before a SIGKILL may be lost
            return len(gateway.records()) == 30

        await gateway.until(on_disk)
        victim = next(iter(before))
        os.kill(victim, signal.SIGKILL)
        late = await asyncio.gather(*(gateway.ask() for _ in range(40)))
        lost = late.count(b"")
        assert all(answer == b"" or b"Hello." in answer for answer in late)

        async def replaced() -> bool:
            now = set(gateway.workers())
            return len(now) == 3 and victim not in now

        await gateway.until(replaced)
        assert b"Hello." in await gateway.ask()
        running = set(gateway.workers())
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await gateway.process.wait() == 130
        assert not [pid for pid in running if psutil.pid_exists(pid)]
        records = gateway.records()
        assert len(records) == 71 - lost
        assert {record["outcome"] for record in records} == {"served"}
        assert len({record["id"] for record in records}) == len(records)
        code, text = await gateway.command("audit", "verify")
        assert code == 0, text
    await behind.close()


async def test_one_worker_shows_what_all_of_them_count(tmp_path: Path) -> None:
    """Every request is in one answer of `/metrics`, whoever served it and whoever is asked."""
    behind = await upstream()
    async with served(tmp_path, behind, workers=2) as gateway:
        for _ in range(20):
            assert b"Hello." in await gateway.ask()
        counted: dict[bytes, int] = {}

        async def all_shown() -> bool:
            text = await gateway.ask(METRICS)
            assert text.count(b"# TYPE selfopt_requests_total ") == 1
            series = rb'\nselfopt_requests_total\{outcome="served",status="200",stream="false",worker="(\d+)"\} (\d+)'
            counted.update((worker, int(count)) for worker, count in re.findall(series, text))
            return len(re.findall(rb"\nselfopt_build_info\{", text)) == 2 and sum(counted.values()) == 20

        await gateway.until(all_shown)
    await behind.close()


async def test_whoever_looks_after_workers_does_not_outlive_them_nor_they_it(tmp_path: Path) -> None:
    """Killed, it leaves no worker behind that nobody would ever end."""
    behind = await upstream()
    async with served(tmp_path, behind, workers=2) as gateway:

        async def both() -> bool:
            return len(gateway.workers()) == 2

        await gateway.until(both)
        workers = list(gateway.workers().values())
        gateway.process.kill()
        await gateway.process.wait()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, workers, 60)
        assert (len(gone), alive) == (2, [])
    await behind.close()


@pytest.mark.parametrize(("host", "said"), [("127.0.0.1", "cannot listen"), ("0.0.0.0", "no API key")])
async def test_what_keeps_one_from_serving_is_said_once(tmp_path: Path, host: str, said: str) -> None:
    """By the parent, or by the first worker alone; the exit code is the same as without workers."""
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1] if host == "127.0.0.1" else 0
    environ = {**os.environ, "SELFOPT_HOME": str(tmp_path / "home"), "SELFOPT_CONFIG": str(tmp_path / "none.toml")}
    (tmp_path / "none.toml").write_text("", "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "selfopt", "serve", "--workers", "3", "--host", host, "--port", str(port), stderr=asyncio.subprocess.PIPE,
        env=environ, cwd=tmp_path,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert errors.decode().count(said) == 1
    assert "Traceback" not in errors.decode()
    taken.close()
    await taken.wait_closed()


@pytest.mark.parametrize("rule", [("local/smollm2-135m", True, None), ("up/good", False, "local/smollm2-135m")])
async def test_rules_that_name_embedded_models_refuse_the_start(tmp_path: Path, rule: tuple[str, bool, str | None]) -> None:
    """As the model that serves, or as the one that serves instead."""
    config = tmp_path / "own.toml"
    config.write_text('[endpoints.up]\nkind = "openai_compatible"\nbase_url = "http://127.0.0.1:9"\nlocal = true\n', "utf-8")
    async with App.open(environ={"SELFOPT_HOME": str(tmp_path / "home"), "SELFOPT_CONFIG": str(config)}, cwd=tmp_path) as app:
        app.home.ensure()
        refuse_embedded(app)
        model, allow, fallback = rule
        app.enforcer.set_rule(model, "atomic", allow=allow, fallback=fallback)
        with pytest.raises(UsageError, match="local/smollm2-135m"):
            refuse_embedded(app)


async def test_a_request_for_an_embedded_model_is_told_why_not(tmp_path: Path) -> None:
    """No engine is started."""
    behind = await upstream()
    async with served(tmp_path, behind, workers=2) as gateway:
        body = BODY.replace(b"up/good", b"local/smollm2-135m")
        answer = await gateway.ask(POST % len(body) + body)
        assert b"embedded engine" in answer
        assert b"--workers" in answer
    await behind.close()
