"""The one place that requests to models are sent from.

Every verb and the gateway get what speaks to a server here and nowhere else, and say under which name the model was asked for. What was
asked of a model on this machine goes to another machine only where the user's own settings consent: `Sender.require` decides that for
all of them. Routing and the recommender look at the same settings to choose whom to ask; this is what holds when they are wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from selfopt.errors import ConsentError, UsageError
from selfopt.home import escape_control
from selfopt.records import ChatChunk, ChatReply, ChatRequest, Endpoint, EndpointConfig, Residency, Spec
from selfopt.settings import EndpointSettings, Settings

if TYPE_CHECKING:
    from selfopt.engine.embedded import EmbeddedEngine


MAX_REMEMBERED = 4096


class Sending:
    """An `Endpoint` for one model, as it was asked for. It asks for leave before every request, and takes none for another model."""

    def __init__(
        self, inner: Endpoint, entry: EndpointSettings, config: EndpointConfig, server_model: str, leave: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._entry = entry
        self._config = config
        self._server_model = server_model
        self._leave = leave

    async def chat(self, request: ChatRequest) -> ChatReply:
        """One whole reply. ConsentError, before anything is sent; else as its adapter."""
        self._check(request)
        return await self._inner.chat(request)

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The reply in pieces; likewise."""
        self._check(request)
        return self._inner.stream(request)

    async def close(self) -> None:
        """Nothing: connections are shared, and the sender's to close."""

    @property
    def plays_here(self) -> bool:
        """Whether there is no server: its replies are played in this process."""
        return self._entry.plays_here

    @property
    def is_embedded(self) -> bool:
        """Whether its server is a child of this process."""
        return self._entry.traits.engine

    async def config(self) -> EndpointConfig:
        """How its server is spoken to, key included, for a process that sends on behalf of this one. The embedded engine is started;
        raises what that raises, and ConsentError."""
        self._leave()
        if not self.is_embedded:
            return self._config
        from .embedded import EmbeddedEndpoint

        assert isinstance(self._inner, EmbeddedEndpoint)
        return await self._inner.config_of(self._server_model)

    def _check(self, request: ChatRequest) -> None:
        self._leave()
        if request.model != self._server_model:
            raise ConsentError(
                f"not sent: a request for {escape_control(request.model, 200)} was handed to {escape_control(self._server_model, 200)}; "
                "this is a bug in selfopt"
            )


class Sender:
    """Hands out what speaks to models. Connections are made once for each endpoint. engine: the embedded one, made at its first use.
    read: called with each script that was read."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], engine: Callable[[], EmbeddedEngine], read: Callable[[Path], None]
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._engine = engine
        self._read = read
        self._endpoints: dict[str, Endpoint] = {}
        self._residencies: dict[str, Residency] = {}
        self._permitted: set[tuple[str, str]] = set()

    def require(self, asked: str, served: str) -> None:
        """May what was asked of the one model be sent to the other? Both in full. ConsentError when it would leave this machine and
        nobody consented. Whoever asks for a remote model by its own name has consented; an endpoint that the settings do not have
        counts as on this machine when it was asked, and as elsewhere when it would serve."""
        if (asked, served) in self._permitted:
            return
        if asked != served:
            settings = self._settings
            meant_for_here = settings.is_local(asked) or asked.partition("/")[0] not in settings.endpoints
            if meant_for_here and not settings.is_local(served):
                self.require_consent(f"{escape_control(served, 200)}, which would serve {escape_control(asked, 200)},")
        if len(self._permitted) >= MAX_REMEMBERED:
            self._permitted.clear()
        self._permitted.add((asked, served))

    def require_consent(self, what: str) -> None:
        """ConsentError unless the user's own settings let what was meant for this machine leave it. what: who would get it."""
        if not self._settings.allow_remote:
            raise ConsentError(
                f"not sent: {what} is not on this machine, and allow_remote is off; ask for a remote model by its own name, "
                "or set allow_remote = true in your own settings"
            )

    def endpoint(self, served: str, *, asked: str) -> Endpoint:
        """What speaks to a model named in full. asked: the full name that the user or client wrote. ConsentError."""
        self.require(asked, served)
        name, entry = self._settings.endpoint_of(served)
        config = self._settings.endpoint_config(name, self._environ)
        return Sending(self._adapter(name, config), entry, config, self.server_model(served), lambda: self.require(asked, served))

    def residency(self, served: str, *, asked: str) -> Residency:
        """Whether the model is loaded, and loading it; likewise. ConsentError."""
        self.require(asked, served)
        return self._residency(self._settings.endpoint_of(served)[0])

    def for_spec(self, spec: Spec, asked: str | None) -> Endpoint:
        """What speaks to a spec's model. asked None: the spec is measured for its own sake. UsageError for a spec whose endpoint is not
        the one that its model's name says."""
        self._check_spec(spec)
        return self.endpoint(spec.model, asked=asked or spec.model)

    def residency_for_spec(self, spec: Spec, asked: str | None) -> Residency:
        """Likewise."""
        self._check_spec(spec)
        return self.residency(spec.model, asked=asked or spec.model)

    async def installed(self, name: str) -> list[str]:
        """The models that a server of kind ollama lists; no model is asked for anything."""
        from selfopt.endpoints.ollama_residency import OllamaResidency

        residency = self._residency(name)
        return await residency.installed() if isinstance(residency, OllamaResidency) else []

    def server_model(self, model: str) -> str:
        """The name that the server knows: without the provider; the embedded engine knows full names."""
        provider, entry = self._settings.endpoint_of(model)
        return model if entry.traits.engine else model.removeprefix(f"{provider}/")

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        endpoints, self._endpoints = list(self._endpoints.values()), {}
        self._residencies = {}
        for endpoint in endpoints:
            await endpoint.close()

    def _check_spec(self, spec: Spec) -> None:
        provider = spec.model.partition("/")[0]
        if spec.endpoint != provider:
            raise UsageError(
                f"spec {spec.spec_id} names endpoint {spec.endpoint!r} for {spec.model!r}, whose endpoint is {provider!r}; it is not asked"
            )

    def _adapter(self, name: str, config: EndpointConfig) -> Endpoint:
        if name not in self._endpoints:
            from selfopt.endpoints.factory import create_endpoint

            from .embedded import EmbeddedEndpoint

            made = (
                EmbeddedEndpoint(self._engine(), config)
                if self._settings.endpoints[name].traits.engine
                else create_endpoint(config)
            )
            if config.script is not None and config.base_url is None:
                self._read(Path(config.script))
            self._endpoints[name] = made
        return self._endpoints[name]

    def _residency(self, name: str) -> Residency:
        if name not in self._residencies:
            from selfopt.endpoints.factory import create_residency

            from .embedded import EmbeddedResidency

            config = self._settings.endpoint_config(name, self._environ)
            self._residencies[name] = (
                EmbeddedResidency(self._engine()) if self._settings.endpoints[name].traits.engine else create_residency(config)
            )
        return self._residencies[name]
