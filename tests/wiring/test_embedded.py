"""The embedded engine behind the seams: starts count within the request, errors keep their kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from selfopt.engine.embedded import EngineAddress
from selfopt.errors import EndpointError, EngineError, ModelStoreError
from selfopt.records import ChatRequest, EndpointConfig, EnoughError, Message, ModelStatus
from selfopt.scripted.script import Script
from selfopt.wiring.embedded import EmbeddedEndpoint, EmbeddedResidency
from tests.cli.servers import scripted_server

REQUEST = ChatRequest(model="m", messages=(Message(role="user", content="hi"),), timeout_s=5.0)
CONFIG = EndpointConfig(name="local", kind="embedded", local=True)


class Engine:
    """An engine that does what a test says."""

    def __init__(self, *addresses: EngineAddress | Exception | float) -> None:
        self.addresses = list(addresses)

    async def connect(self, model: str, *, embedding: bool = False) -> EngineAddress:
        """The next address, error or delay."""
        following = self.addresses.pop(0)
        if isinstance(following, Exception):
            raise following
        if isinstance(following, float):
            await asyncio.sleep(following)
            raise AssertionError("nobody should wait this long")
        return following

    async def load(self, model: str, timeout_s: float) -> float:
        """As `connect`."""
        await self.connect(model)
        return 5.0

    async def status(self, model: str, *, embedding: bool = False) -> ModelStatus:
        """Asleep."""
        return ModelStatus(state="sleeping")

    async def unload(self, model: str) -> bool:
        """Done."""
        return True


@pytest.fixture
def servers() -> Iterator[tuple[str, str]]:
    """Two engines' children: the second one is there after a restart."""
    one, two = (Script.model_validate({"models": {"m": {"default": {"text": text}}}}) for text in ("one", "two"))
    with scripted_server(one) as first, scripted_server(two) as second:
        yield first, second


def address(url: str, start_ms: float = 0.0) -> EngineAddress:
    """Where a child listens."""
    return EngineAddress(url, SecretStr("k"), "m", start_ms)


async def test_the_start_of_the_engine_counts_within_the_request_that_caused_it(servers: tuple[str, str]) -> None:
    """Latency and load evidence hold the start; the next request does not."""
    engine: Any = Engine(address(servers[0], 900.0), address(servers[0]))
    endpoint = EmbeddedEndpoint(engine, CONFIG)
    first, second = await endpoint.chat(REQUEST), await endpoint.chat(REQUEST)
    await endpoint.close()
    await endpoint.close()
    assert first.latency_ms >= 900.0
    assert (first.load.loaded, first.load.before) == (True, "unloaded")
    assert (first.load.load_ms or 0) >= 900.0
    assert second.latency_ms < 900.0
    assert second.content.text == "one"


async def test_a_child_that_was_started_anew_is_found(servers: tuple[str, str]) -> None:
    """Another address: the old connections are given up."""
    engine: Any = Engine(address(servers[0]), address(servers[1]), address(servers[1]))
    endpoint = EmbeddedEndpoint(engine, CONFIG)
    assert (await endpoint.chat(REQUEST)).content.text == "one"
    assert (await endpoint.chat(REQUEST)).content.text == "two"
    chunks = [chunk async for chunk in endpoint.stream(REQUEST)]
    assert chunks[-1].final is not None
    await endpoint.close()


async def test_a_stream_that_had_enough_ends_there(servers: tuple[str, str]) -> None:
    """What came is the reply."""
    engine: Any = Engine(address(servers[0]))
    endpoint = EmbeddedEndpoint(engine, CONFIG)
    chunks = endpoint.stream(REQUEST)
    assert isinstance(chunks, AsyncGenerator)
    first = await anext(chunks)
    final = (await chunks.athrow(EnoughError())).final
    assert final is not None
    assert (final.content.text, final.content.finish_reason) == (first.text, "length")
    await endpoint.close()


@pytest.mark.parametrize(
    ("problem", "kind"),
    [(ModelStoreError("not pulled"), "not_found"), (EngineError("no memory"), "not_found"), (60.0, "timeout")],
)
async def test_what_goes_wrong_keeps_its_kind(problem: Exception | float, kind: str) -> None:
    """Not pulled, did not start, not in time: an EndpointError that measuring understands."""
    engine: Any = Engine(problem)
    endpoint = EmbeddedEndpoint(engine, CONFIG)
    with pytest.raises(EndpointError) as caught:
        await endpoint.chat(REQUEST.model_copy(update={"timeout_s": 0.05}))
    assert caught.value.kind == kind


async def test_residency_passes_through_and_keeps_the_kinds() -> None:
    """Status, load and unload are the engine's."""
    engine: Any = Engine(address("http://127.0.0.1:1"), ModelStoreError("x"), EngineError("y"))
    residency = EmbeddedResidency(engine)
    assert (await residency.status("m")).state == "sleeping"
    assert await residency.unload("m")
    assert await residency.load("m", 1.0) == 5.0
    for kind in ("not_found", "connect"):
        with pytest.raises(EndpointError) as caught:
            await residency.load("m", 1.0)
        assert caught.value.kind == kind
