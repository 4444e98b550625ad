"""What keys spend is counted by all workers together, and survives the end of any of them, and of all."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted

from .test_workers import BODY, Served, served

PRICES = '[prices."up/good"]\ninput = 1_000_000\noutput = 1_000_000\n'
COST = 3.0  # one token is asked, two are said


@pytest.fixture
async def behind() -> AsyncIterator[ScriptedServer]:
    """An upstream that says Hello."""
    server = await serve_scripted(Script.model_validate({"models": {"good": {"default": {"text": "Hello."}}}}))
    yield server
    await server.close()


async def new_key(gateway: Served, *terms: str) -> str:
    """A key with these terms, one of them a budget, once both workers know it: until then, nobody needs one."""
    code, text = await gateway.command("keys", "add", "mine", "--json", *terms)
    assert code == 0, text
    made = json.loads(text)
    told = re.compile(rb'selfopt_budget_used_share\{key="%s".*?worker="(\d)"\}' % made["id"].encode())

    async def known() -> bool:
        return len({*told.findall(await gateway.ask(request(made["key"], b"GET", b"/metrics", b"")))}) == 2

    await gateway.until(known)
    return str(made["key"])


def request(key: str, method: bytes = b"POST", path: bytes = b"/v1/chat/completions", body: bytes = BODY) -> bytes:
    """The bytes of a request."""
    return (
        b"%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (method, path, key.encode(), len(body), body)
    )


async def ask(gateway: Served, key: str) -> str:
    """`served`, or the code of the refusal. What is held for a moment by the request before is waited for."""
    found = ""

    async def answered() -> bool:
        nonlocal found
        answer = await gateway.ask(request(key))
        code = re.search(rb'"code":"(\w+)"', answer)
        found = "served" if b"Hello." in answer else code[1].decode() if code is not None else ""
        return found not in ("", "rate_limit_exceeded", "invalid_api_key")

    await gateway.until(answered)
    return found


async def both_say(gateway: Served, key: str, expected: float) -> None:
    """Wait until each of two workers says that so much of the budget is spent. What one shows of the other is seconds old."""
    found: dict[str, float] = {}

    async def both() -> bool:
        text = await gateway.ask(request(key, b"GET", b"/metrics", b""))
        for worker, share in re.findall(rb'selfopt_budget_used_share\{.*?worker="(\d)"\} (\S+)', text):
            found[worker.decode()] = float(share)
        return found == {"0": expected, "1": expected}

    await gateway.until(both)


async def test_workers_share_what_was_spent_and_a_dead_one_leaves_it(tmp_path: Path, behind: ScriptedServer) -> None:
    """Neither its end nor its restart frees anything, or counts anything twice."""
    async with served(tmp_path, behind, workers=2, settings=PRICES) as gateway:
        key = await new_key(gateway, "--budget-day", str(8 * COST))
        assert [await ask(gateway, key) for _ in range(5)] == ["served"] * 5
        await both_say(gateway, key, 0.625)
        before = set(gateway.workers())
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        async def replaced() -> bool:
            return len(set(gateway.workers()) - before) == 2

        await gateway.until(replaced)
        await both_say(gateway, key, 0.625)
        assert [await ask(gateway, key) for _ in range(4)] == [*["served"] * 3, "insufficient_quota"]
        await both_say(gateway, key, 1.0)


async def test_what_was_spent_survives_the_sudden_end_of_all(tmp_path: Path, behind: ScriptedServer) -> None:
    """What is on disk is counted again before the next gateway listens."""
    async with served(tmp_path, behind, workers=2, settings=PRICES) as gateway:
        key = await new_key(gateway, "--budget-month", str(3 * COST))
        assert [await ask(gateway, key) for _ in range(3)] == ["served"] * 3

        async def on_disk() -> bool:
            return len(gateway.records()) == 3

        await gateway.until(on_disk)
        for process in (psutil.Process(gateway.process.pid), *gateway.workers().values()):
            process.kill()
        await gateway.process.wait()
    async with served(tmp_path, behind, workers=2, settings=PRICES) as gateway:
        assert await ask(gateway, key) == "insufficient_quota"


async def test_workers_share_the_requests_of_a_minute(tmp_path: Path, behind: ScriptedServer) -> None:
    """At most twice the limit where a minute of the clock begins in between; never that of each worker."""
    async with served(tmp_path, behind, workers=2, settings=PRICES) as gateway:
        key = await new_key(gateway, "--requests-per-minute", "5", "--budget-month", "1000")
        assert await ask(gateway, key) == "served"
        answers = [await gateway.ask(request(key)) for _ in range(30)]
        allowed = 1 + sum(b"Hello." in answer for answer in answers)
        assert allowed in range(5, 11)
        refused = next(answer for answer in answers if b"rate_limit_exceeded" in answer)
        assert re.search(rb"\r\nRetry-After: \d+\r\n", refused)
        assert b"x-ratelimit-remaining-requests: 0\r\n" in refused
