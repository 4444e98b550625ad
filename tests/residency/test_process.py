"""The warm-up in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.errors import UsageError
from selfopt.records import Endpoint, EndpointConfig, Residency, WarmUp
from selfopt.residency import WarmUpAnswer, WarmUpJob, run_job, warm_up_separately
from selfopt.residency import process as process_module
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted
from tests.endpoints.kit import KEY, ask

POLICY = WarmUp(enabled=True, separate_process=True, load_timeout_s=120)
CHILD = """
import asyncio, os, sys
from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.records import EndpointConfig
from selfopt.residency import run_job
def build(parts):
    assert parts["api_key"] not in " ".join(sys.argv) and parts["api_key"] not in " ".join(os.environ.values())
    config = EndpointConfig.model_validate(parts)
    return create_endpoint(config), create_residency(config)
print(asyncio.run(run_job(sys.stdin.read(), build)))
"""


def job(base_url: str = "http://127.0.0.1:9", **policy: Any) -> WarmUpJob:
    """Warm up `m` at this server."""
    parts = {"name": "e", "kind": "openai_compatible", "base_url": base_url, "api_key": KEY}
    return WarmUpJob(parts=parts, model="m", requests=(ask("hi"),), policy=POLICY.model_copy(update=policy))


def build(parts: dict[str, Any]) -> tuple[Endpoint, Residency]:
    """As an app's child would."""
    config = EndpointConfig.model_validate(parts)
    return create_endpoint(config), create_residency(config)


async def test_a_child_warms_the_model_up_and_hands_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key travels in the job only; blobs come back whole."""
    monkeypatch.setenv("SOMEBODYS_API_KEY", KEY)
    server = await serve_scripted(
        Script.model_validate({"api_key": KEY, "models": {"m": {"load_ms": 50, "default": {"text": "vier ✓"}}}})
    )
    result, blobs = await warm_up_separately([sys.executable, "-c", CHILD], job(server.base_url))
    await server.close()
    assert (result.status, result.resident) == ("complete", True), result.reason
    assert {blob.blob_hash for blob in blobs} == {*result.requests, *result.replies}
    assert any("vier ✓" in blob.text for blob in blobs)
    assert os.environ["SOMEBODYS_API_KEY"] == KEY, "the parent keeps its own"


async def test_a_job_can_be_done_in_this_process_too() -> None:
    """A failed warm-up is an answer, not an exception."""
    answer = WarmUpAnswer.model_validate_json(await run_job(job().model_dump_json(), build))
    assert answer.result.status == "failed"
    with pytest.raises(UsageError, match="warm-up job"):
        await run_job("{}", build)


async def test_off_starts_nothing() -> None:
    """Not even a process that could not be started."""
    result, _ = await warm_up_separately(["/nowhere/at/all"], job(enabled=False))
    assert result.status == "off"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nowhere/at/all"], "cannot start"),
        ([sys.executable, "-c", "raise SystemExit('\\x1b[31mno good')"], "no good"),
        ([sys.executable, "-c", "print('hello')"], "no answer"),
        ([sys.executable, "-c", "import os; os.write(1, b'\\xff' * 100000)"], "no answer"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "status -9"),
    ],
)
async def test_a_child_that_fails_is_a_failed_warm_up(command: list[str], said: str) -> None:
    """With the reason in printable words."""
    result, blobs = await warm_up_separately(command, job())
    assert (result.status, blobs) == ("failed", [])
    assert said in result.reason
    assert result.reason.isprintable()


SLEEPER = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"


async def test_a_child_that_does_not_answer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the sum of the job's own limits."""
    monkeypatch.setattr(process_module, "START_UP_S", 0.0)
    quick = job(load_timeout_s=0.3, prompt_timeout_s=0.3)
    quick = quick.model_copy(update={"requests": (ask("hi", timeout_s=0.2),)})
    result, _ = await warm_up_separately([sys.executable, "-c", SLEEPER, str(tmp_path / "pid")], quick)
    assert "did not answer" in result.reason
    pid = tmp_path / "pid"
    assert not pid.exists() or not psutil.pid_exists(int(pid.read_text()))


async def test_cancelling_kills_the_child(tmp_path: Path) -> None:
    """Nothing is left behind."""
    pid = tmp_path / "pid"
    task = asyncio.ensure_future(warm_up_separately([sys.executable, "-c", SLEEPER, str(pid)], job()))
    while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110 - the child has no other way to tell
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(int(pid.read_text()))
