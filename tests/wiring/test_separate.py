"""Warm-up in a process of its own: the model is warmed, the key is nowhere to be seen, what cannot leave stays here."""

from __future__ import annotations

import asyncio
import io
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from selfopt.endpoints.endpoint import HttpEndpoint
from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.engine.embedded import EngineAddress
from selfopt.errors import EngineError
from selfopt.records import ChatRequest, Endpoint, EndpointConfig, Message, ModelStatus, WarmUp
from selfopt.scripted.script import Script
from selfopt.settings import EndpointSettings
from selfopt.wiring import separate as separate_module
from selfopt.wiring.app import App
from selfopt.wiring.embedded import EmbeddedEndpoint, EmbeddedResidency
from selfopt.wiring.sending import Sending
from selfopt.wiring.separate import WarmUpRunner, build, main
from tests.cli.servers import scripted_server
from tests.cli.world import Project

KEY = "sk-very-secret-0123456789"
REQUEST = ChatRequest(model="m", messages=(Message(role="user", content="What is 2+2?"),))
SEPARATE = WarmUp(enabled=True, separate_process=True)


@pytest.fixture
def server() -> Iterator[str]:
    """A scripted server that wants a key and takes half a second to load."""
    script = Script.model_validate({"api_key": KEY, "models": {"m": {"load_ms": 500, "default": {"text": "4"}}}})
    with scripted_server(script) as url:
        yield url


def config_at(url: str) -> EndpointConfig:
    """The server's configuration."""
    return EndpointConfig(name="there", kind="openai_compatible", base_url=f"{url}/v1", api_key=SecretStr(KEY), local=True)


def sent(endpoint: Endpoint, config: EndpointConfig) -> Sending:
    """The endpoint as the app hands it out."""
    return Sending(endpoint, EndpointSettings(kind=config.kind, base_url=config.base_url), config, "m", lambda: None)


async def seen_children(stop: asyncio.Event) -> list[tuple[list[str], dict[str, str]]]:
    """Command line and environment of every child of this process until `stop`."""
    seen: dict[int, tuple[list[str], dict[str, str]]] = {}
    while not stop.is_set():
        for child in psutil.Process().children(recursive=True):
            try:
                if child.pid not in seen and "selfopt.wiring.warm_up_child" in child.cmdline():
                    seen[child.pid] = (child.cmdline(), child.environ())
            except psutil.Error:
                continue
        await asyncio.sleep(0.02)
    return list(seen.values())


async def test_a_separate_process_warms_the_model_and_shows_no_key(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is resident afterwards; neither the child's arguments nor its environment hold the key."""
    monkeypatch.setenv("THERE_API_KEY", KEY)
    config = config_at(server)
    endpoint, residency = create_endpoint(config), create_residency(config)
    stop = asyncio.Event()
    watching = asyncio.create_task(seen_children(stop))
    result, blobs = await WarmUpRunner(True)(sent(endpoint, config), residency, "m", [REQUEST], SEPARATE, time.monotonic)
    stop.set()
    children = await watching
    await endpoint.close()
    assert result.status == "complete", result.reason
    assert (result.load_ms or 0) > 100
    assert {b.blob_hash for b in blobs} >= {*result.requests, *result.replies}
    assert (await residency.status("m")).state == "loaded"
    assert children
    for arguments, environment in children:
        assert KEY not in " ".join(arguments)
        assert all(KEY not in value for value in environment.values())


async def test_a_wrong_key_is_a_failed_warm_up(server: str) -> None:
    """What the server says comes back as the reason; nothing is raised."""
    config = config_at(server).model_copy(update={"api_key": SecretStr("wrong")})
    endpoint, residency = create_endpoint(config), create_residency(config)
    result, _ = await WarmUpRunner(True)(sent(endpoint, config), residency, "m", [REQUEST], SEPARATE, time.monotonic)
    await endpoint.close()
    assert result.status == "failed"
    assert "401" in result.reason


async def test_a_scripted_endpoint_of_this_process_is_warmed_in_it(project: Project) -> None:
    """Its state lives here: another process could only load a copy. The result says so."""
    async with App.open() as app:
        cold = "scripted/cold"
        endpoint, residency = app.sender.endpoint(cold, asked=cold), app.sender.residency(cold, asked=cold)
        request = REQUEST.model_copy(update={"model": "cold"})
        call = app.measure_context().warm_up
        result, _ = await call(endpoint, residency, "cold", [request], SEPARATE, time.monotonic)
        assert result.status == "complete"
        assert result.reason.startswith("in this process")
        assert (await residency.status("cold")).state == "loaded"


async def test_the_off_switch_is_stronger_than_any_spec(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """warm_up.enabled = false: a spec of the ledger that wants warm-up gets none, and the record says why."""
    monkeypatch.setenv("SELFOPT_WARM_UP__ENABLED", "false")
    async with App.open() as app:
        call = app.measure_context().warm_up
        result, blobs = await call(
            app.sender.endpoint("scripted/cold", asked="scripted/cold"),
            app.sender.residency("scripted/cold", asked="scripted/cold"),
            "cold",
            [REQUEST],
            WarmUp(enabled=True),
            time.monotonic,
        )
    assert (result.status, blobs) == ("off", [])
    assert "warm_up.enabled = false" in result.reason


class Engine:
    """An engine whose child is the scripted server."""

    def __init__(self, url: str, problem: Exception | None = None) -> None:
        self.url = url
        self.problem = problem
        self.loads = 0

    async def connect(self, model: str, *, embedding: bool = False) -> EngineAddress:
        """The server's address."""
        if self.problem is not None:
            raise self.problem
        return EngineAddress(self.url, SecretStr(KEY), "m")

    async def load(self, model: str, timeout_s: float) -> float:
        """Loaded, after 123 ms."""
        if self.problem is not None:
            raise self.problem
        self.loads += 1
        return 123.0

    async def status(self, model: str, *, embedding: bool = False) -> ModelStatus:
        """Loaded."""
        return ModelStatus(state="loaded")

    async def unload(self, model: str) -> bool:
        """Done."""
        return True


async def test_the_engine_stays_the_child_of_the_measuring_process(server: str) -> None:
    """It is loaded here (and that time counts); the requests of the warm-up come from the other process."""
    engine: Any = Engine(server)
    endpoint = EmbeddedEndpoint(engine, EndpointConfig(name="local", kind="embedded", local=True))
    residency = EmbeddedResidency(engine)
    config = EndpointConfig(name="local", kind="embedded", local=True)
    runner = WarmUpRunner(True)
    result, _ = await runner(sent(endpoint, config), residency, "m", [REQUEST], SEPARATE, time.monotonic)
    assert result.status == "complete", result.reason
    assert result.load_ms == 123.0
    assert engine.loads == 1
    engine.problem = EngineError("no memory")
    failed, _ = await runner(sent(endpoint, config), residency, "m", [REQUEST], SEPARATE, time.monotonic)
    assert (failed.status, failed.reason) == ("failed", "no memory")
    await endpoint.close()


def test_the_child_refuses_what_is_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed by a person: one line, no traceback."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello"))
    with pytest.raises(SystemExit, match="for internal use"):
        main()


def test_the_child_builds_what_the_parent_sent() -> None:
    """Configuration and key arrive; the key stays hidden in a representation."""
    parts = separate_module._parts(config_at("http://127.0.0.1:1"))
    assert parts["api_key"] == KEY
    assert "api_key" not in parts["config"]
    endpoint, _ = build(parts)
    assert isinstance(endpoint, HttpEndpoint)
    without, _ = build({**parts, "api_key": None})
    assert KEY not in repr(without)


def test_the_setting_reaches_the_command_line(project: Project, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    """warm_up.separate_process = true: `run --enable-warmup` warms up in a separate process and says so."""
    text = f'[warm_up]\nseparate_process = true\n[endpoints.there]\nkind = "openai_compatible"\nbase_url = "{server}/v1"\nlocal = true\n'
    project.user_config.write_text(text + f'api_key = "{KEY}"\n', "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    result = project.ok("run", "there/m", "atomic", "--enable-warmup", "--limit", "1")
    assert "Warm-up complete: m (in a separate process)" in result.err
    assert "warm-up complete: load" in result.out
