"""The engine, with a child that is no llama.cpp: what it does when children fail, die, sleep and are unloaded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.embedded import EmbeddedEngine, EngineOptions
from selfopt.errors import EngineError, ModelStoreError, UnknownModelError

from .conftest import FakeModels


def engine_of(fakes: FakeModels, options: EngineOptions | None = None) -> EmbeddedEngine:
    return EmbeddedEngine(fakes.store, fakes.catalogue, options or fakes.options)


async def test_the_first_connect_starts_the_child_and_the_second_finds_it(fakes: FakeModels) -> None:
    """How long the first waited is told; the second did not wait."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        first, second = await engine.connect(model), await engine.connect(model)
    assert first.start_ms > 0
    assert second.start_ms == 0
    assert first.base_url == second.base_url
    assert first.base_url.startswith("http://127.0.0.1:")
    assert first.alias == model


async def test_embeddings_have_a_child_of_their_own(fakes: FakeModels) -> None:
    """A server of llama.cpp either chats or embeds. Each has its own state, and both end with the engine."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        chats = await engine.connect(model)
        assert (await engine.status(model, embedding=True)).state == "unloaded"
        embeds = await engine.connect(model, embedding=True)
        assert (await engine.connect(model, embedding=True)).base_url == embeds.base_url != chats.base_url
        assert (await engine.status(model, embedding=True)).state == "loaded"
        assert sorted(engine.pids()) == [model, f"{model} (embedding)"]
        pids = engine.pids().values()
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_connects_at_once_share_one_child(fakes: FakeModels) -> None:
    """One child a model."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        addresses = await asyncio.gather(*(engine.connect(model) for _ in range(5)))
        assert len(engine.pids()) == 1
    assert len({a.base_url for a in addresses}) == 1
    assert all(a.start_ms > 0 for a in addresses)


async def test_every_start_has_a_key_of_its_own_and_no_text_shows_it(fakes: FakeModels) -> None:
    """Long, random, hidden."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        first = await engine.connect(model)
        await engine.unload(model)
        second = await engine.connect(model)
    assert first.api_key.get_secret_value() != second.api_key.get_secret_value()
    assert len(first.api_key.get_secret_value()) >= 32
    assert first.api_key.get_secret_value() not in repr(first)


async def test_a_cancelled_caller_does_not_stop_the_start(fakes: FakeModels) -> None:
    """A client that gives up must not send the load back to its beginning."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        waiter = asyncio.create_task(engine.connect(model))
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert (await engine.status(model)).state == "loading"
        await engine.connect(model)
        assert len(engine.pids()) == 1


async def test_status_tells_the_state_without_starting_or_waking(fakes: FakeModels) -> None:
    """unloaded, sleeping, loaded, unloaded."""
    model = fakes.add(asleep=True)
    async with engine_of(fakes) as engine:
        assert (await engine.status(model)).state == "unloaded"
        assert engine.pids() == {}
        await engine.connect(model)
        assert (await engine.status(model)).state == "sleeping"
        assert (await engine.status(model)).state == "sleeping"
        assert await engine.load(model, 20) > 0
        assert (await engine.status(model)).state == "loaded"
        assert await engine.unload(model)
        assert (await engine.status(model)).state == "unloaded"


async def test_status_tells_the_environment(fakes: FakeModels) -> None:
    """The same before and after the start, so that the environment's identity does not change with it."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        before = await engine.status(model)
        await engine.connect(model)
        after = await engine.status(model)
    assert before.model_copy(update={"state": "loaded"}) == after
    assert after.digest == fakes.catalogue[model].sha256
    assert after.engine == "llama.cpp (xllamacpp)"
    assert (after.slots, after.context_size) == (1, 4096)


@pytest.mark.parametrize("props", ["garbage"])
async def test_a_server_that_tells_nonsense_counts_as_loaded_when_it_answers(fakes: FakeModels, props: str) -> None:
    """It is not asleep as far as it says, and no error is raised."""
    model = fakes.add(props=props)
    async with engine_of(fakes) as engine:
        await engine.connect(model)
        assert (await engine.status(model)).state == "loaded"


async def test_a_child_that_was_killed_is_started_again_by_the_next_connect(fakes: FakeModels) -> None:
    """With a new address; meanwhile its state is unloaded or unknown."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        first = await engine.connect(model)
        pid = engine.pids()[model]
        os.kill(pid, signal.SIGKILL)
        while model in engine.pids():  # noqa: ASYNC110 - the end of a process sets no event of ours
            await asyncio.sleep(0.01)
        assert (await engine.status(model)).state == "unloaded"
        second = await engine.connect(model)
        assert engine.pids()[model] != pid
    assert second.start_ms > 0
    assert first.api_key != second.api_key


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"end": "crash", "stderr": "E out of \x1b[31mmemory"}, r"exit code 7.*last log line: E out of  \[31mmemory"),
        ({"end": "failed", "stderr": "E bad magic"}, r"no such luck; last log line: E bad magic"),
        ({"end": "garbage"}, r"did not start"),
        ({"end": "garbage", "length": 100_000}, r"did not start"),
        ({"end": "unhealthy"}, r"status 503"),
    ],
)
async def test_a_child_that_does_not_start_is_an_engine_error(fakes: FakeModels, behaviour: dict[str, str], said: str) -> None:
    """With the last log line, in one line, and no process left."""
    model = fakes.add(**behaviour)
    async with engine_of(fakes) as engine:
        with pytest.raises(EngineError, match=said) as caught:
            await engine.connect(model)
        assert str(caught.value).isprintable()
        assert model in str(caught.value)
        assert engine.pids() == {}
        with pytest.raises(EngineError):
            await engine.connect(model)
    assert children_with("fake_child") == []


async def test_a_child_that_hangs_is_ended_after_the_start_timeout(fakes: FakeModels) -> None:
    """And the message names the timeout."""
    model = fakes.add(end="hang")
    async with engine_of(fakes, replace(fakes.options, start_timeout_s=0.5)) as engine:
        with pytest.raises(EngineError, match=r"not ready after 0\.5 s"):
            await engine.connect(model)
    assert children_with("fake_child") == []


async def test_a_load_that_takes_too_long_goes_on(fakes: FakeModels) -> None:
    """The caller hears of it, the child lives."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        with pytest.raises(EngineError, match="goes on loading"):
            await engine.load(model, 0.001)
        await engine.connect(model)
        assert len(engine.pids()) == 1


async def test_a_child_that_ignores_the_end_of_its_input_is_killed(fakes: FakeModels) -> None:
    """Unload and close never hang."""
    model = fakes.add(end="lingers")
    async with engine_of(fakes) as engine:
        await engine.connect(model)
        pid = engine.pids()[model]
        await engine.unload(model)
        assert not psutil.pid_exists(pid)


async def test_close_ends_children_that_run_and_those_that_start(fakes: FakeModels) -> None:
    """No orphans; twice is fine; afterwards nothing can be started."""
    running, starting = fakes.add("local/one"), fakes.add("local/two", end="hang")
    engine = engine_of(fakes)
    await engine.connect(running)
    pending = asyncio.create_task(engine.connect(starting))
    await asyncio.sleep(0.05)
    await engine.close()
    await engine.close()
    with pytest.raises((asyncio.CancelledError, EngineError)):
        await pending
    assert children_with("fake_child") == []
    with pytest.raises(EngineError, match="closed"):
        await engine.connect(running)


async def test_unloading_what_is_not_loaded_is_fine(fakes: FakeModels) -> None:
    """It is what was asked for."""
    model = fakes.add()
    async with engine_of(fakes) as engine:
        assert await engine.unload(model)


async def test_an_unknown_model_is_named_with_the_known_ones(fakes: FakeModels) -> None:
    """And how to add one."""
    fakes.add("local/known")
    async with engine_of(fakes) as engine:
        with pytest.raises(UnknownModelError, match=r"local/other.*local/known"):
            await engine.connect("local/other")


async def test_a_model_that_is_not_pulled_is_said_to_be_so(fakes: FakeModels) -> None:
    """With the command that pulls it."""
    model = fakes.add()
    fakes.store.remove(model)
    async with engine_of(fakes) as engine:
        assert (await engine.status(model)).state == "unloaded"
        with pytest.raises(ModelStoreError, match="selfopt models pull local/tiny"):
            await engine.connect(model)


async def test_a_file_other_than_the_catalogues_is_not_served(fakes: FakeModels) -> None:
    """The digest in the status is the digest of what answers."""
    model = fakes.add()
    entry: ModelEntry = fakes.catalogue[model]
    fakes.catalogue[model] = entry.model_copy(update={"sha256": "0" * 64})
    async with engine_of(fakes) as engine:
        with pytest.raises(ModelStoreError, match="another file"):
            await engine.connect(model)


async def test_a_command_that_does_not_exist_is_an_engine_error(fakes: FakeModels) -> None:
    """No traceback."""
    model = fakes.add()
    async with engine_of(fakes, replace(fakes.options, command=("/nowhere/python",))) as engine:
        with pytest.raises(EngineError, match="/nowhere/python"):
            await engine.connect(model)


async def test_the_log_of_the_child_is_kept_in_a_file(fakes: FakeModels, tmp_path: Path) -> None:
    """In the folder of the options, under the model's name."""
    model = fakes.add(stderr="W something")
    async with engine_of(fakes, replace(fakes.options, log_dir=tmp_path / "logs")) as engine:
        await engine.connect(model)
    assert "W something" in (tmp_path / "logs" / "local@tiny.log").read_text()


def children_with(word: str) -> list[psutil.Process]:
    """Children of this process that have not ended and whose command line has this word."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends while it is looked at
            if process.is_running() and any(word in part for part in process.cmdline()):
                found.append(process)
    return found
