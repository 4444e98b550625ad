"""The scripted server as a server: what it tells, what survives a client's leaving, its own controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from selfopt.endpoints.factory import create_endpoint, create_residency
from selfopt.errors import EndpointError, SettingsError
from selfopt.records import Endpoint
from selfopt.scripted.endpoint import ScriptedResidency, engine_for
from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted
from tests.endpoints.kit import ask, config_for
from tests.looptime import pass_time

MODEL: dict[str, Any] = {
    "load_ms": 400,
    "load_after_aborts": 4,
    "cold_affects": ["city"],
    "default": {"text": "ok"},
    "digest": "sha256:d",
}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """Serves one model whose load outlasts four impatient requests."""
    served = await serve_scripted(Script.model_validate({"models": {"m": MODEL}}))
    yield served
    await served.close()


async def call(server: ScriptedServer, method: str, path: str, body: Any = None, text: str | None = None) -> tuple[int, Any]:
    """Status and JSON."""
    async with aiohttp.ClientSession() as session:
        data = None if text is None else text.encode()
        async with session.request(method, server.base_url + path, json=body, data=data) as response:
            return response.status, await response.json()


async def impatient(server: ScriptedServer, endpoint: Endpoint, prompt: str) -> None:
    """Ask with a timeout that passes at once where the model is not loaded and the prompt waits for it."""
    known, waits = len(server.journal), prompt != "other" and server.engine.state("m") != "loaded"
    asked = asyncio.ensure_future(endpoint.chat(ask(prompt, timeout_s=60, isolate=True)))
    if waits:
        while len(server.journal) == known:  # noqa: ASYNC110 - the journal has no event
            await asyncio.sleep(0)
        pass_time(60)
    await asked


async def row(server: ScriptedServer, endpoint: Endpoint, runs: int) -> str:
    """Outcomes of runs of two affected prompts and one other."""
    letters = ""
    for _ in range(runs):
        for prompt in ("city a", "city b", "other"):
            try:
                await impatient(server, endpoint, prompt)
                letters += "P"
            except EndpointError as error:
                letters += "F" if error.kind == "timeout" else f"<{error.kind}>"
        letters += " "
    return letters.strip()


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama", "anthropic"])
async def test_impatient_clients_fail_two_runs_and_then_pass(server: ScriptedServer, kind: str) -> None:
    """Over real connections that really are closed, in every dialect."""
    endpoint = create_endpoint(config_for(kind, server.base_url, None))
    assert await row(server, endpoint, 4) == "FFP FFP PPP PPP"
    await endpoint.close()


@pytest.mark.parametrize("kind", ["openai_compatible", "ollama"])
async def test_a_load_that_waits_makes_every_run_pass(server: ScriptedServer, kind: str) -> None:
    """What a warm-up does."""
    endpoint = create_endpoint(config_for(kind, server.base_url, None))
    residency = create_residency(config_for(kind, server.base_url, None))
    assert await residency.load("m", 10.0) >= 390
    assert await row(server, endpoint, 2) == "PPP PPP"
    assert await residency.unload("m") is True
    assert await row(server, endpoint, 1) == "FFP"
    await endpoint.close()


async def test_its_controls_unload_and_tell(server: ScriptedServer) -> None:
    """State, journal, unload of one model and of all."""
    assert (await call(server, "POST", "/models/load", {"model": "m"}))[0] == 200
    assert await call(server, "GET", "/scripted/state") == (200, {"models": {"m": {"state": "loaded", "loads": 1}}})
    assert await call(server, "POST", "/scripted/unload", {"model": "m"}) == (200, {"success": True})
    assert await call(server, "POST", "/scripted/unload", {}) == (200, {"success": True})
    assert (await call(server, "POST", "/scripted/unload", {"model": "x"}))[0] == 400
    assert (await call(server, "POST", "/models/load", {"model": "x"}))[0] == 404
    status, journal = await call(server, "GET", "/scripted/journal")
    assert (status, [entry["outcome"] for entry in journal["requests"]]) == (200, ["answered", "unknown_model"])


async def test_models_and_health_are_listed_without_loading(server: ScriptedServer) -> None:
    """As llama.cpp's router tells it."""
    _, models = await call(server, "GET", "/v1/models")
    assert [(m["id"], m["status"]["value"]) for m in models["data"]] == [("m", "unloaded")]
    assert await call(server, "GET", "/health") == (200, {"status": "ok"})
    assert (await call(server, "GET", "/api/tags"))[1]["models"][0]["name"] == "m:latest"
    assert (await call(server, "GET", "/api/ps"))[1] == {"models": []}
    assert (await call(server, "POST", "/api/show", {"model": "x"}))[0] == 404


async def test_ollama_loads_and_unloads_by_empty_requests(server: ScriptedServer) -> None:
    """By generate or chat, with keep_alive as a number or a text."""
    assert (await call(server, "POST", "/api/generate", {"model": "m"}))[1]["done_reason"] == "load"
    assert (await call(server, "GET", "/api/ps"))[1]["models"][0]["digest"] == "sha256:d"
    assert (await call(server, "POST", "/api/chat", {"model": "m", "messages": [], "keep_alive": "0s"}))[1][
        "done_reason"
    ] == "unload"
    assert (await call(server, "GET", "/api/ps"))[1] == {"models": []}
    status, said = await call(
        server, "POST", "/api/generate", {"model": "m", "prompt": "other", "stream": False, "keep_alive": "5m"}
    )
    assert (status, said["response"], said["done"]) == (200, "ok", True)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "[" * 5000])
async def test_a_body_that_is_no_object_is_a_bad_request(server: ScriptedServer, text: str) -> None:
    """In every dialect."""
    for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
        assert (await call(server, "POST", path, text=text))[0] == 400


async def test_odd_messages_are_taken_as_far_as_they_go(server: ScriptedServer) -> None:
    """No request makes the server fail."""
    body = {
        "model": "m",
        "messages": [1, None, {"role": 3, "content": [{"type": "text", "text": "a"}, 2]}, {"role": "developer"}],
        "tools": [3],
    }
    for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
        assert (await call(server, "POST", path, {**body, "stream": False}))[0] == 200


async def test_a_taken_port_is_refused_in_one_line(server: ScriptedServer) -> None:
    """With the address."""
    port = int(server.base_url.rpartition(":")[2])
    with pytest.raises(SettingsError, match=str(port)):
        await serve_scripted(server.engine.script, port=port)


async def test_closing_ends_open_requests_and_may_be_repeated(server: ScriptedServer) -> None:
    """Nobody is left waiting."""
    endpoint = create_endpoint(config_for("openai_compatible", server.base_url, None))
    task = asyncio.ensure_future(endpoint.chat(ask("city", timeout_s=30)))
    while not server.journal:  # noqa: ASYNC110 - the journal has no event
        await asyncio.sleep(0)
    await server.close()
    await server.close()
    with pytest.raises(EndpointError):
        await task
    await endpoint.close()


def test_endpoint_and_residency_of_one_configuration_share_their_state(tmp_path: Path) -> None:
    """In process, however they were made; another name is another server."""
    file = tmp_path / "s.yaml"
    file.write_text("models: {m: {load_ms: 10}}", "utf-8")
    config = config_for("scripted", script=str(file))
    endpoint, residency = create_endpoint(config), create_residency(config)
    assert isinstance(residency, ScriptedResidency)
    assert engine_for(config) is residency.engine is endpoint.engine  # type: ignore[attr-defined]
    assert engine_for(config.model_copy(update={"name": "other"})) is not residency.engine
    with pytest.raises(SettingsError, match="script"):
        create_endpoint(config_for("scripted"))


@pytest.mark.parametrize("make", [create_endpoint, create_residency])
def test_embedded_endpoints_are_not_made_here(make: Any) -> None:
    """Their server is not there yet."""
    with pytest.raises(SettingsError, match="embedded"):
        make(config_for("embedded"))
