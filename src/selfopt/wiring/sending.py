"""Hands out the endpoints and residencies that send requests to models.

Verbs and the gateway get them only here, and name the model that the user or client asked for. A
request for a model on this machine leaves it only if the user's own settings allow that;
`Sender.require` checks this for every request. Routing and the recommender read the same settings,
and this check holds even when they are wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from selfopt.errors import ConsentError, UsageError
from selfopt.home import escape_control
from selfopt.records import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    Endpoint,
    EndpointConfig,
    ListsModels,
    Residency,
    Spec,
)
from selfopt.records.seams import EmbeddingSource
from selfopt.settings import EndpointSettings, Settings
from selfopt.variants import options_of
from selfopt.variants.options import require_embedding

if TYPE_CHECKING:
    from selfopt.engine.embedded import EmbeddedEngine


MAX_REMEMBERED = 4096


class Sending:
    """An `Endpoint` for one model. Checks consent before every request and refuses other models."""

    def __init__(
        self, inner: Endpoint, entry: EndpointSettings, config: EndpointConfig, server_model: str, leave: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._entry = entry
        self._config = config
        self._server_model = server_model
        self._leave = leave

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return a whole reply. ConsentError comes before anything is sent."""
        self._check(request)
        return await self._inner.chat(request)

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Return the reply in pieces. Raises as `chat`."""
        self._check(request)
        return self._inner.stream(request)

    async def close(self) -> None:
        """Do nothing: the sender closes the connections, which endpoints share."""

    @property
    def plays_here(self) -> bool:
        """Whether a script in this process plays the replies, without a server."""
        return self._entry.plays_here

    @property
    def is_embedded(self) -> bool:
        """Whether the server is a child of this process."""
        return self._entry.traits.engine

    async def config(self) -> EndpointConfig:
        """Return the server's configuration, key included, for a process that sends for this one.

        Starts the embedded engine if that serves the model, and raises what the start raises.

        Raises:
            ConsentError: the request may not leave this machine.
        """
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
    """Hands out endpoints and residencies. Each endpoint's connections are made once.

    Args:
        engine: returns the embedded engine; called at the first use.
        read: called with each script right after it was read.
    """

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], engine: Callable[[], EmbeddedEngine], read: Callable[[Path], None]
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._engine = engine
        self._read = read
        self._endpoints: dict[str, Endpoint] = {}
        self._embeddings: dict[str, Endpoint] = {}
        self._residencies: dict[str, Residency] = {}
        self._permitted: set[tuple[str, str]] = set()

    def require(self, asked: str, served: str) -> None:
        """Check that one model may serve a request for another. Both names are full ones.

        Asking for a remote model by its own name is consent. An endpoint that the settings do not
        have counts as local when it was asked, and as remote when it would serve.

        Raises:
            ConsentError: the request would leave this machine and the user did not allow that.
        """
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
        """Raise ConsentError unless the user's own settings allow requests to leave this machine.

        Args:
            what: who would get the request, for the message.
        """
        if not self._settings.allow_remote:
            raise ConsentError(
                f"not sent: {what} is not on this machine, and allow_remote is off; ask for a remote model by its own name, "
                "or set allow_remote = true in your own settings"
            )

    def endpoint(self, served: str, *, asked: str) -> Endpoint:
        """Return the endpoint of a model.

        Args:
            served: full name of the model that serves.
            asked: full name of the model that the user or client asked for.

        Raises:
            ConsentError: the request may not leave this machine.
        """
        self.require(asked, served)
        name, entry = self._settings.endpoint_of(served)
        config = self._settings.endpoint_config(name, self._environ)
        return Sending(self._adapter(name, config), entry, config, self.server_model(served), lambda: self.require(asked, served))

    def residency(self, served: str, *, asked: str) -> Residency:
        """Return the residency of a model's server. Arguments and errors as for `endpoint`."""
        self.require(asked, served)
        return self._residency(self._settings.endpoint_of(served)[0])

    def require_embedding(self, asked: str, served: str) -> None:
        """Check that an embedding model may see a request for another model. Both names are full ones.

        Only that of the settings may. One elsewhere needs consent, unless the model that was asked
        is of the same provider, so that the request goes there anyway.

        Raises:
            ConsentError: it may not.
        """
        name = escape_control(served, 200)
        if served != self._settings.embedding:
            raise ConsentError(f"not sent: {name} is not the embedding model of your settings; set it as embedding in [models]")
        if not self._settings.is_local(served) and served.partition("/")[0] != asked.partition("/")[0]:
            self.require_consent(f"the embedding model {name}")

    def embedding(self, served: str, *, asked: str) -> EmbeddingSource:
        """Return what embeds the requests to a model.

        Args:
            served: full name of the embedding model.
            asked: full name of the model that the request is for.

        Raises:
            ConsentError: the embedding model may not see the request.
            SettingsError: its endpoint has no embeddings.
        """
        self.require_embedding(asked, served)
        name, entry = self._settings.endpoint_of(served)
        config = self._settings.endpoint_config(name, self._environ)
        if served not in self._embeddings:
            from selfopt.endpoints.embedding import EmbeddingEndpoint

            from .embedded import EmbeddedEmbedding

            self._embeddings[served] = (
                EmbeddedEmbedding(self._engine(), config) if entry.traits.engine else EmbeddingEndpoint(config)
            )
        known = self.server_model(served)
        leave = partial(self.require_embedding, asked, served)
        return EmbeddingSource(
            Sending(self._embeddings[served], entry, config, known, leave), self._residency(name, embedding=True), known
        )

    def embedding_for(self, spec: Spec, asked: str | None) -> EmbeddingSource | None:
        """Return what embeds the requests of a spec; None where it needs none.

        Arguments and errors as for `embedding`. VariantError where the settings name none, or another one.
        """
        if not options_of(spec.variant).embeds:
            return None
        require_embedding(spec.variant, self._settings.embedding)
        return self.embedding(options_of(spec.variant).embedding, asked=asked or spec.model)

    def for_spec(self, spec: Spec, asked: str | None) -> Endpoint:
        """Return the endpoint of a spec's model.

        Args:
            asked: as for `endpoint`; None when the spec is measured for its own sake.

        Raises:
            UsageError: the spec's endpoint is not the provider in its model's name.
            ConsentError: the request may not leave this machine.
        """
        self._check_spec(spec)
        return self.endpoint(spec.model, asked=asked or spec.model)

    def residency_for_spec(self, spec: Spec, asked: str | None) -> Residency:
        """Return the residency of a spec's model. Arguments and errors as for `for_spec`."""
        self._check_spec(spec)
        return self.residency(spec.model, asked=asked or spec.model)

    def lists_models(self, name: str) -> bool:
        """Say whether an endpoint can be asked for the models that it has."""
        return isinstance(self._residency(name), ListsModels)

    async def installed(self, name: str) -> list[str] | None:
        """List the server's names of an endpoint's models; None if it does not say."""
        residency = self._residency(name)
        return await residency.installed() if isinstance(residency, ListsModels) else None

    def server_model(self, model: str) -> str:
        """Return the server's name of a model: without the provider, but in full for the engine."""
        provider, entry = self._settings.endpoint_of(model)
        return model if entry.traits.engine else model.removeprefix(f"{provider}/")

    async def close(self) -> None:
        """Close all connections. A second call does nothing."""
        endpoints = [*self._endpoints.values(), *self._embeddings.values()]
        self._endpoints, self._embeddings = {}, {}
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

    def _residency(self, name: str, *, embedding: bool = False) -> Residency:
        if embedding and self._settings.endpoints[name].traits.engine:
            from .embedded import EmbeddedResidency

            return EmbeddedResidency(self._engine(), embedding=True)
        if name not in self._residencies:
            from selfopt.endpoints.factory import create_residency

            from .embedded import EmbeddedResidency

            config = self._settings.endpoint_config(name, self._environ)
            self._residencies[name] = (
                EmbeddedResidency(self._engine()) if self._settings.endpoints[name].traits.engine else create_residency(config)
            )
        return self._residencies[name]
