"""The `Endpoint` and `Residency` of the embedded engine. The first request starts the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.endpoints.embedding import EmbeddingEndpoint
from selfopt.endpoints.endpoint import HttpEndpoint
from selfopt.engine.embedded import EmbeddedEngine, EngineAddress
from selfopt.errors import EndpointError, EngineError, ModelStoreError
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig, EnoughError, ModelStatus


class EmbeddedEndpoint:
    """Sends each request to the engine child of its model, and starts the child if needed.

    The start counts towards the request's time, as a load does on any server.
    """

    def __init__(self, engine: EmbeddedEngine, config: EndpointConfig) -> None:
        self._engine = engine
        self._config = config
        self._adapters: dict[str, tuple[str, HttpEndpoint]] = {}

    async def _adapter(self, request: ChatRequest) -> tuple[HttpEndpoint, float]:
        """Return the adapter of the model's child, and the milliseconds spent on starting it."""
        address = await _connected(self._engine, request)
        known = self._adapters.get(request.model)
        if known is not None and known[0] == address.base_url:
            return known[1], address.start_ms
        if known is not None:
            await known[1].close()
        at = _config_at(self._config, address)
        adapter = HttpEndpoint(at, OpenAIChat(at))
        self._adapters[request.model] = (address.base_url, adapter)
        return adapter, address.start_ms

    async def config_of(self, model: str) -> EndpointConfig:
        """Return the configuration of the model's child, key included.

        Starts the child if needed, and raises as `EmbeddedEngine.connect`.
        """
        return _config_at(self._config, await self._engine.connect(model))

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return a whole reply; see `Endpoint.chat`. latency_ms includes a start of the engine."""
        adapter, start_ms = await self._adapter(request)
        reply = await adapter.chat(request)
        if not start_ms:
            return reply
        load = reply.load.model_copy(
            update={"before": "unloaded", "load_ms": (reply.load.load_ms or 0.0) + start_ms, "loaded": True}
        )
        return reply.model_copy(update={"latency_ms": reply.latency_ms + start_ms, "load": load})

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the reply in pieces; see `Endpoint.stream`."""
        adapter, _ = await self._adapter(request)
        chunks = adapter.stream(request)
        async for chunk in chunks:
            try:
                yield chunk
            except EnoughError as enough:
                if not isinstance(chunks, AsyncGenerator):
                    raise
                yield await chunks.athrow(enough)
                return

    async def close(self) -> None:
        """Close the connections. The app closes the engine."""
        adapters, self._adapters = list(self._adapters.values()), {}
        for _, adapter in adapters:
            await adapter.close()


class EmbeddedEmbedding:
    """Sends texts to an engine child of their model that embeds, and starts it if needed."""

    def __init__(self, engine: EmbeddedEngine, config: EndpointConfig) -> None:
        self._engine = engine
        self._config = config
        self._adapters: dict[str, tuple[str, EmbeddingEndpoint]] = {}

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return how similar texts are to the first one; see `EmbeddingEndpoint`."""
        address = await _connected(self._engine, request, embedding=True)
        known = self._adapters.get(request.model)
        if known is None or known[0] != address.base_url:
            if known is not None:
                await known[1].close()
            known = address.base_url, EmbeddingEndpoint(_config_at(self._config, address))
            self._adapters[request.model] = known
        return await known[1].chat(request)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the reply as one piece."""
        yield ChatChunk(final=await self.chat(request))

    async def close(self) -> None:
        """Close the connections. The app closes the engine."""
        adapters, self._adapters = list(self._adapters.values()), {}
        for _, adapter in adapters:
            await adapter.close()


async def _connected(engine: EmbeddedEngine, request: ChatRequest, *, embedding: bool = False) -> EngineAddress:
    """Start the child of a request's model if needed. Raises EndpointError."""
    try:
        async with asyncio.timeout(request.timeout_s):
            return await engine.connect(request.model, embedding=embedding)
    except TimeoutError:
        raise EndpointError(
            f"the engine had not loaded {request.model} after {request.timeout_s:g} s; raise the timeout or warm up first",
            kind="timeout",
        ) from None
    except (ModelStoreError, EngineError) as error:
        # Not "connect": the state "unloaded" would then make the failed start look like a load.
        raise EndpointError(str(error), kind="not_found") from error


def _config_at(config: EndpointConfig, address: EngineAddress) -> EndpointConfig:
    """The configuration of a child, key included."""
    at = {"kind": "openai_compatible", "base_url": f"{address.base_url}/v1", "api_key": address.api_key, "server": "llama.cpp"}
    return config.model_copy(update=at)


class EmbeddedResidency:
    """The residency of the embedded engine's models."""

    def __init__(self, engine: EmbeddedEngine, *, embedding: bool = False) -> None:
        """embedding: of the children that embed texts."""
        self._engine = engine
        self._embedding = embedding

    async def status(self, model: str) -> ModelStatus:
        """Return state and digest without starting anything."""
        return await self._engine.status(model, embedding=self._embedding)

    async def load(self, model: str, timeout_s: float) -> float:
        """Start the child, wait until it answers, and return the milliseconds that took."""
        try:
            return await self._engine.load(model, timeout_s)
        except ModelStoreError as error:
            raise EndpointError(str(error), kind="not_found") from error
        except EngineError as error:
            raise EndpointError(str(error), kind="connect") from error

    async def unload(self, model: str) -> bool:
        """Drop the model from memory."""
        return await self._engine.unload(model)
