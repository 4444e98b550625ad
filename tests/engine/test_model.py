"""The engine with real models: each test pays real loads (`pytest -m model`)."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from selfopt.engine import embedded
from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.embedded import EmbeddedEngine, EngineAddress, EngineOptions
from selfopt.engine.process import ChildConfig
from selfopt.engine.store import ModelStore
from selfopt.errors import EngineError

from .conftest import entry_for

pytestmark = pytest.mark.model

SMALL, LARGER = "local/smollm2-135m", "local/qwen2.5-coder-0.5b"
CATALOGUE = load_catalogue()


@pytest.fixture
def real_store(tmp_path: Path) -> ModelStore:
    """The user's own store, with both models pulled."""
    store = ModelStore.default()
    for entry in CATALOGUE.values():
        store.pull(entry, lambda _: None)
    return store


@pytest.fixture
async def engine(real_store: ModelStore, tmp_path: Path) -> AsyncIterator[EmbeddedEngine]:
    """An engine whose models fall asleep after a second."""
    async with EmbeddedEngine(real_store, CATALOGUE, EngineOptions(sleep_idle_s=1, log_dir=tmp_path / "logs")) as engine:
        yield engine


async def chat(address: EngineAddress, key: str | None = None) -> tuple[int, Any, float]:
    """Status, body and milliseconds of one short chat."""
    headers = {"Authorization": f"Bearer {key or address.api_key.get_secret_value()}"}
    body = {
        "model": address.alias,
        "messages": [{"role": "user", "content": "What is 2+2?"}],
        "max_tokens": 8,
        "temperature": 0,
    }
    began = time.perf_counter()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address.base_url}/v1/chat/completions", json=body, headers=headers) as reply,
    ):
        answer = await reply.json()
        return reply.status, answer, (time.perf_counter() - began) * 1000


async def until_state(engine: EmbeddedEngine, model: str, state: str) -> None:
    """Wait for a state; asking does not change it."""
    async with asyncio.timeout(120):
        while (await engine.status(model)).state != state:  # noqa: ASYNC110 - it is the server that falls asleep
            await asyncio.sleep(0.1)


async def test_both_models_answer_at_once(engine: EmbeddedEngine) -> None:
    """One child each."""
    addresses = await asyncio.gather(engine.connect(SMALL), engine.connect(LARGER))
    replies = await asyncio.gather(*(chat(address) for address in addresses))
    assert [status for status, _, _ in replies] == [200, 200]
    assert "4" in replies[1][1]["choices"][0]["message"]["content"]
    assert len(engine.pids()) == 2


async def test_the_key_is_neither_in_the_command_line_nor_in_the_environment(
    engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of no process on this machine, and in no log, however much is logged."""
    monkeypatch.setattr(embedded, "ChildConfig", partial(ChildConfig, verbosity=4))
    address = await engine.connect(SMALL)
    key = address.api_key.get_secret_value()
    await chat(address)
    for process in psutil.process_iter():
        try:
            assert key not in " ".join(process.cmdline())
            assert key not in str(process.environ())
        except psutil.Error:
            continue
    logs = list((tmp_path / "logs").glob("*"))
    assert logs
    assert all(key not in log.read_text() for log in logs)


async def test_a_wrong_key_is_refused(engine: EmbeddedEngine) -> None:
    """401, and the right one works on."""
    address = await engine.connect(SMALL)
    assert (await chat(address, key="wrong"))[0] == 401
    assert (await chat(address))[0] == 200


async def test_the_server_listens_on_loopback_alone(engine: EmbeddedEngine) -> None:
    """Nobody else on the network can reach it."""
    await engine.connect(SMALL)
    listening = [c for c in psutil.Process(engine.pids()[SMALL]).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [c.laddr.ip for c in listening] == ["127.0.0.1"]


async def test_an_idle_model_sleeps_and_wakes_with_a_cold_start(engine: EmbeddedEngine) -> None:
    """Status does not wake it; the next request does and pays for it; load wakes it too."""
    address = await engine.connect(SMALL)
    await chat(address)
    warm_ms = (await chat(address))[2]
    pid = engine.pids()[SMALL]
    awake_bytes = psutil.Process(pid).memory_info().rss
    await until_state(engine, SMALL, "sleeping")
    assert psutil.Process(pid).memory_info().rss < awake_bytes / 2
    status, _, woken_ms = await chat(address)
    assert status == 200
    assert woken_ms > warm_ms
    await until_state(engine, SMALL, "sleeping")
    await engine.load(SMALL, 60)
    assert (await engine.status(SMALL)).state == "loaded"
    assert engine.pids()[SMALL] == pid


async def test_a_model_that_is_asked_for_stays_with_what_is_cached_of_its_prompts(real_store: ModelStore, tmp_path: Path) -> None:
    """Loads begin its idle time anew, without a chat: over several times of it the next chat has nothing to read but its last token."""
    idle_s = 2
    async with EmbeddedEngine(real_store, CATALOGUE, EngineOptions(sleep_idle_s=idle_s, log_dir=tmp_path / "logs")) as engine:
        address = await engine.connect(SMALL)
        await chat(address)
        until = time.monotonic() + 3 * idle_s
        while time.monotonic() < until:
            await engine.load(SMALL, 60)
            await asyncio.sleep(idle_s / 8)  # its idle time is what passes here
        assert (await chat(address))[1]["timings"]["prompt_n"] == 1
        await until_state(engine, SMALL, "sleeping")
        assert (await chat(address))[1]["timings"]["prompt_n"] > 1


async def test_timings_leave_the_load_as_what_they_do_not_explain(engine: EmbeddedEngine) -> None:
    """Load evidence of a single reply: its latency less the server's own prompt and output times."""
    address = await engine.connect(SMALL)
    await chat(address)

    async def unexplained_ms() -> float:
        _, body, latency_ms = await chat(address)
        return float(latency_ms - body["timings"]["prompt_ms"] - body["timings"]["predicted_ms"])

    warm_ms = await unexplained_ms()
    await until_state(engine, SMALL, "sleeping")
    assert await unexplained_ms() > 100 > warm_ms


async def test_after_an_unload_the_next_connect_pays_a_real_start(engine: EmbeddedEngine) -> None:
    """Another process, nothing in its prompt cache."""
    address = await engine.connect(SMALL)
    await chat(address)
    pid = engine.pids()[SMALL]
    assert await engine.unload(SMALL)
    assert not psutil.pid_exists(pid)
    address = await engine.connect(SMALL)
    assert address.start_ms > 100
    _, body, _ = await chat(address)
    assert body["timings"]["cache_n"] == 0


async def test_status_is_the_same_whether_the_model_runs_or_not(engine: EmbeddedEngine) -> None:
    """Digest, quantisation and template come from the file itself."""
    before = await engine.status(SMALL)
    await engine.connect(SMALL)
    after = await engine.status(SMALL)
    assert before.model_copy(update={"state": "loaded"}) == after
    assert after.quantization == "Q4_1"
    assert after.template_hash != "unknown"
    assert (await engine.status(LARGER)).quantization == "Q4_K_M"


async def test_a_file_that_is_no_model_is_an_engine_error_with_the_last_log_line(tmp_path: Path) -> None:
    """What llama.cpp said."""
    (tmp_path / "source").write_bytes(b"no model at all")
    entry = entry_for(b"no model at all", f"file:{tmp_path}/source")
    store = ModelStore(tmp_path / "cache")
    store.pull(entry, lambda _: None)
    async with EmbeddedEngine(store, {entry.name: entry}) as engine:
        with pytest.raises(EngineError, match=r"local/tiny did not start: .*last log line: .*model loading error"):
            await engine.connect(entry.name)


PARENT = """
import asyncio, sys
import psutil
from selfopt.engine.catalogue import load_catalogue
from selfopt.engine import embedded
from selfopt.engine.embedded import EmbeddedEngine
from selfopt.engine.process import ChildConfig
from selfopt.engine.store import ModelStore

async def main():
    engine = EmbeddedEngine(ModelStore.default(), load_catalogue())
    if sys.argv[1] == "loaded":
        await engine.connect("local/smollm2-135m")
        print(engine.pids()["local/smollm2-135m"], flush=True)
    else:
        task = asyncio.create_task(engine.connect("local/smollm2-135m"))
        while not psutil.Process().children():
            await asyncio.sleep(0.01)
        print(0, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["loaded", "loading"])
def test_a_killed_parent_takes_its_engine_with_it(real_store: ModelStore, when: str) -> None:
    """SIGKILL: nobody has time to clean up. Nothing was written to the terminal either."""
    with subprocess.Popen([sys.executable, "-c", PARENT, when], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
        _, errors = parent.communicate()
    assert children
    assert psutil.wait_procs(children, timeout=120)[1] == []
    assert errors == b""


@pytest.mark.parametrize("seed", range(3))
def test_a_child_ends_with_its_input_even_where_the_kernel_does_not_help(real_store: ModelStore, seed: int) -> None:
    """The portable way: the end of stdin (this test is the parent and lives on)."""
    program = str(Path(sys.modules["selfopt.engine"].__path__[0]) / "child.py")
    with subprocess.Popen(
        [sys.executable, "-P", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(child_config(real_store))
        child.stdin.flush()
        assert b"listening" in child.stdout.readline()
        child.stdin.close()
        assert child.wait(120) == 0


def child_config(store: ModelStore) -> bytes:
    """The line that starts a child."""
    return (
        f'{{"model_path": "{store.path_of(SMALL)}", "alias": "m", "context_size": 512, "slots": 1, "threads": 1, "cores": null, "install": "", '
        f'"sleep_idle_s": -1, "prompt_cache_mib": 0, "verbosity": 1, "embedding": false, "pools": false, "api_key": "k", '
        f'"parent_pid": {os.getpid()}}}\n'
    ).encode()
