"""What every Residency promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from selfopt.endpoints.always_resident import AlwaysResident
from selfopt.endpoints.factory import create_residency
from selfopt.errors import EndpointError
from selfopt.records import EndpointConfig, Residency
from selfopt.scripted.endpoint import ScriptedResidency
from selfopt.scripted.player import ScriptEngine
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted
from tests.endpoints.kit import config_for
from tests.scripted.clock import ManualClock

NETWORKED = ("openai_compatible", "ollama", "scripted")


def script() -> Script:
    """A model that loads quickly, one that takes an hour, one that stays."""
    about = {"digest": "sha256:abc", "quantization": "Q4_K_M", "template": "{{ .Prompt }}", "context_size": 2048}
    return Script.model_validate(
        {
            "models": {
                "quick": {"load_ms": 20, **about},
                "slow:1b": {"load_ms": 3_600_000},
                "pinned": {"initially_loaded": True, "can_unload": False},
            }
        }
    )


@dataclass
class Bench:
    """A residency with the engine behind it."""

    residency: Residency
    engine: ScriptEngine


@pytest.fixture(params=(*NETWORKED, "in_process"))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Each residency that has something to tell."""
    if request.param == "in_process":
        engine = ScriptEngine(script(), ManualClock())
        yield Bench(ScriptedResidency(config_for("scripted"), engine), engine)
        return
    server = await serve_scripted(script())
    yield Bench(create_residency(config_for(str(request.param), server.base_url)), server.engine)
    await server.close()


def test_it_is_a_residency(bench: Bench) -> None:
    """It has the seam's methods."""
    assert isinstance(bench.residency, Residency)


async def test_status_never_loads(bench: Bench) -> None:
    """Asking is not using."""
    for _ in range(3):
        assert (await bench.residency.status("quick")).state == "unloaded"
    assert bench.engine.loads("quick") == 0


async def test_load_waits_until_the_model_is_there(bench: Bench) -> None:
    """And says how long that took; a second load is no load."""
    assert await bench.residency.load("quick", 10.0) >= 15.0
    status = await bench.residency.status("quick")
    assert status.state == "loaded"
    await bench.residency.load("quick", 10.0)
    assert bench.engine.loads("quick") == 1


async def test_status_tells_what_the_server_tells(bench: Bench) -> None:
    """Digest and quantisation, in the words of the server."""
    await bench.residency.load("quick", 10.0)
    status = await bench.residency.status("quick")
    assert (status.digest, status.quantization, status.context_size) == ("sha256:abc", "Q4_K_M", 2048)
    assert status.engine != "unknown"


async def test_a_load_that_takes_too_long_is_a_timeout(bench: Bench) -> None:
    """An EndpointError, which a caller can show."""
    with pytest.raises(EndpointError) as caught:
        await bench.residency.load("slow:1b", 0.1)
    assert caught.value.kind == "timeout"


async def test_unload_takes_the_model_out(bench: Bench) -> None:
    """True, and the status shows it."""
    await bench.residency.load("quick", 10.0)
    assert await bench.residency.unload("quick") is True
    assert (await bench.residency.status("quick")).state == "unloaded"


async def test_what_cannot_be_unloaded_is_false(bench: Bench) -> None:
    """Not an error."""
    assert await bench.residency.unload("pinned") is False
    assert (await bench.residency.status("pinned")).state == "loaded"


async def test_an_unknown_model_is_not_loaded_and_cannot_be(bench: Bench) -> None:
    """Status does not raise; load says not found; unload is False."""
    assert (await bench.residency.status("nobody")).state in ("unknown", "unloaded")
    with pytest.raises(EndpointError) as caught:
        await bench.residency.load("nobody", 5.0)
    assert caught.value.kind == "not_found"
    assert await bench.residency.unload("nobody") is False


@pytest.mark.parametrize("kind", NETWORKED)
async def test_without_a_server_the_state_is_unknown_and_load_fails(kind: str) -> None:
    """Status and unload never raise."""
    server = await serve_scripted(script())
    await server.close()
    residency = create_residency(config_for(kind, server.base_url))
    assert (await residency.status("quick")).state == "unknown"
    assert await residency.unload("quick") is False
    with pytest.raises(EndpointError) as caught:
        await residency.load("quick", 5.0)
    assert caught.value.kind == "connect"


@pytest.mark.parametrize(("kind", "knows"), [("ollama", True), ("openai_compatible", False), (None, True)])
async def test_status_tells_which_model_thinks(kind: str | None, knows: bool) -> None:
    """By its template; a server that shows none doesn't say."""
    models: dict[str, Any] = {"thinker": {"template": "{{ '<think>' }}"}, "talker": {"template": "{{ m }}"}}
    scripted = Script.model_validate({"models": models})
    server = await serve_scripted(scripted) if kind is not None else None
    residency = ScriptedResidency(config_for("scripted"), ScriptEngine(scripted))
    if server is not None and kind is not None:
        residency = create_residency(config_for(kind, server.base_url))  # type: ignore[assignment]
    try:
        found = [(await residency.status(name)).thinking for name in ("thinker", "talker")]
        assert found == ([True, False] if knows else [None, None])
    finally:
        if server is not None:
            await server.close()


@pytest.mark.parametrize(
    ("kind", "model", "thinks"),
    [
        ("openai_compatible", "gpt-5-mini", True),
        ("openai_compatible", "openai/o3", True),
        ("openai_compatible", "gpt-4o", None),
        ("anthropic", "claude-haiku-4-5", True),
        ("anthropic", "claude-3-opus-20240229", None),
    ],
)
async def test_what_is_not_asked_is_known_by_the_names_of_its_models(kind: str, model: str, thinks: bool | None) -> None:
    """As far as these say."""
    config = EndpointConfig(name="away", kind=kind, base_url="https://api.example.com/v1")
    assert (await create_residency(config).status(model)).thinking is thinks


async def test_cloud_models_are_always_there() -> None:
    """Nothing to load, nothing to unload, nothing told."""
    for residency in (
        create_residency(config_for("anthropic")),
        create_residency(config_for("openai_compatible", "https://api.example/v1")),
    ):
        assert isinstance(residency, AlwaysResident)
        assert isinstance(residency, Residency)
        assert (await residency.status("m")).state == "loaded"
        assert (await residency.status("m")).digest == "unknown"
        assert await residency.load("m", 1.0) == 0.0
        assert await residency.unload("m") is False
