"""The models that a gateway asks, made of an app's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

from selfopt.dialects.kinds import PASSED_PATHS, EndpointKind
from selfopt.dialects.openai_client import NAME as OPENAI
from selfopt.dialects.routes import DIALECTS, Route
from selfopt.dialects.servers import with_settings
from selfopt.errors import EndpointError, EngineError, ModelStoreError, SelfoptError, UsageError
from selfopt.gateway import EmbeddingSteps, HttpAddress, Pool, PooledEndpoint, Upstream
from selfopt.home import secret_texts
from selfopt.records import HELD_FACTS, Endpoint, EndpointConfig, Environment, ModelStatus
from selfopt.records.seams import EmbeddingSource
from selfopt.records.spec import UNKNOWN
from selfopt.settings import EndpointSettings

from .app import App

Finish = Callable[[dict[str, Any]], dict[str, Any]]


class AppUpstreams:
    """The `Upstreams` of an app's settings. Looks up each model once."""

    def __init__(
        self,
        app: App,
        pool: Pool,
        *,
        alone: bool = True,
        observed: Callable[[str, Environment], None] = lambda _model, _environment: None,
    ) -> None:
        """Keep the parts.

        Args:
            alone: no other process serves beside this one.
            observed: is told what serves a model, by the model's full name.
        """
        self._app = app
        self._pool = pool
        self._alone = alone
        self._known: dict[str, Upstream] = {}
        self._beside: dict[tuple[str, Route], Upstream] = {}
        self._asked: dict[str, Endpoint] = {}
        self._families: dict[str, str] = {}
        self._observed = observed
        self._embedding = EmbeddingSteps(self._embedding_source)

    def tell(self, model: str, status: ModelStatus) -> None:
        """Take note of what a server said about a model."""
        if status.family != "unknown":
            self._families[self._app.settings.one_name(model)] = status.family
        self._observed(model, _environment_of(model, status))

    def find(self, model: str, asked: str, route: Route | None = None) -> Upstream:
        """Return the upstream of a model.

        Args:
            model: full name of the model that serves.
            asked: full name of the model that the request names.
            route: as of `Upstreams.find`.

        Raises:
            UnknownModelError: no endpoint has the model.
            ConsentError: the request may not leave this machine.
        """
        self._app.sender.require(asked, model)
        known = self._known.get(model)
        if known is None:
            if len(self._known) >= 4096:
                self._known.clear()
                self._beside.clear()
                self._asked.clear()
            known = self._known[model] = self._make(model)
        return known if route is None else self._beside.get((model, route)) or self._make_beside(known, route)

    def _make(self, model: str) -> Upstream:
        app = self._app
        name, entry = app.settings.endpoint_of(app.full_name(model))
        config = app.settings.endpoint_config(name, app.environ)
        self._require_alone(model)
        address = self._address_of(name)
        direct = address is not None or entry.traits.engine
        return Upstream(
            name=name,
            model=model,
            server_model=app.sender.server_model(model),
            address=address,
            # `find` has checked the consent, so from here on the request counts as one for this model.
            adapter=(lambda: self._endpoint(model)) if direct else (lambda: app.sender.endpoint(model, asked=model)),
            dialect=entry.traits.speaks,
            speaks=frozenset(entry.traits.speaks_at(address.host if address is not None else None) if direct else ()),
            also=frozenset(entry.also if direct else ()),
            gate=model if entry.traits.engine else name,
            concurrency=app.settings.live_concurrency_of(name),
            max_reply_bytes=config.max_reply_bytes,
            ignores_choice=entry.traits.ignores_choice,
            writes_grammars=entry.traits.writes_grammars,
            finish=_finish(entry.traits, config),
            family=lambda: self._families.get(app.settings.one_name(model), "unknown"),
            known_as=app.settings.one_name(model),
            streamed=entry.traits.engine,
            gives_logprobs=entry.may_give_logprobs,
            embeds=partial(self._embedding.answer, model),
            traced=_traced(app.settings.otel.upstream, entry),
            provider=_provider(entry),
        )

    def _make_beside(self, chats: Upstream, route: Route) -> Upstream:
        """Return the upstream of a route. What fails there says nothing of the model's chats."""
        traits = self._app.settings.endpoints[chats.name].traits
        name = DIALECTS[route]
        engine = traits.engine and (name == OPENAI or name in chats.also)
        if name == traits.speaks or name in chats.also:
            address = chats.address
        else:
            address = self._address_below(chats.name) if name == OPENAI else None
        found = self._beside[chats.model, route] = replace(
            chats,
            address=address,
            speaks=frozenset({name} if address is not None or engine else ()),
            gate=f"{chats.gate} ({route})" if engine and route == "embeddings" else chats.gate,  # a server of its own
            known_as=f"{chats.known_as} ({route})",
            max_reply_bytes=chats.max_stream_bytes,
            route=route,
        )
        return found

    def _address_of(self, name: str) -> HttpAddress | None:
        """Where an endpoint's server takes what is passed on; None where it takes nothing, or the engine starts it."""
        entry, config = self._app.settings.endpoints[name], self._app.settings.endpoint_config(name, self._app.environ)
        traits = entry.traits
        path = PASSED_PATHS.get(traits.speaks)
        if path is None or traits.engine or not (config.base_url or traits.base_url):
            return None
        return self._place(name, traits.dialect(config).url.removesuffix(path))

    def _address_below(self, name: str) -> HttpAddress | None:
        """Where an endpoint's server, which speaks another dialect, answers OpenAI's API; None where it does not."""
        entry, config = self._app.settings.endpoints[name], self._app.settings.endpoint_config(name, self._app.environ)
        below = entry.traits.openai_path
        return None if below is None else self._place(name, f"{entry.traits.dialect(config).root}{below}")

    def _place(self, name: str, root: str) -> HttpAddress:
        entry, config = self._app.settings.endpoints[name], self._app.settings.endpoint_config(name, self._app.environ)
        key = config.api_key.get_secret_value() if config.api_key is not None else None
        proxy = config.proxy.get_secret_value() if config.proxy is not None else None
        hidden = secret_texts(config.extra_body)
        return HttpAddress.of(name, root, key, proxy, hidden=hidden, key_header=entry.traits.key_header)

    def _embedding_source(self, embedding: str, served: str) -> EmbeddingSource:
        """Return what embeds requests to a model. Errors as of `Sender.embedding`."""
        source = self._app.sender.embedding(embedding, asked=served)
        self._require_alone(embedding)
        return source

    def _require_alone(self, model: str) -> None:
        """Raise UsageError for a model of the embedded engine that several processes would start."""
        if self._app.settings.endpoint_of(model)[1].traits.engine and not self._alone:
            raise UsageError(f"{model} runs in the embedded engine, which belongs to one process; serve it without --workers")

    def _endpoint(self, model: str) -> Endpoint:
        """Return an endpoint that uses the gateway's own connections.

        Made at the first chat that goes through a variant, because its dialect is slow to import.
        """
        found = self._asked.get(model)
        if found is None:
            upstream, app = self.find(model, model), self._app
            config = app.settings.endpoint_config(upstream.name, app.environ)
            # The dialect does not need the engine child's address, which is not known yet.
            here = config.model_copy(update={"base_url": config.base_url or "http://127.0.0.1"})
            found = self._asked[model] = PooledEndpoint(
                upstream.name,
                self._pool,
                app.settings.endpoints[upstream.name].traits.dialect(here),
                lambda: self._address(upstream),
                lambda: app.sender.endpoint(model, asked=model),
                upstream.max_reply_bytes,
                upstream.finish,
            )
        return found

    async def _address(self, upstream: Upstream) -> HttpAddress:
        address = upstream.address or await self.connect(upstream)
        assert address is not None
        return address

    async def connect(self, upstream: Upstream) -> HttpAddress | None:
        """Start a model of the embedded engine if needed and return its address.

        None for models of other endpoints. EndpointError when the engine does not start.
        """
        if not self._app.settings.endpoints[upstream.name].traits.engine:
            return None
        try:
            found = await self._app.engine.connect(upstream.model, embedding=upstream.route == "embeddings")
            if upstream.route is None and upstream.known_as not in self._families:
                self.tell(upstream.model, await self._app.engine.status(upstream.model))
        except ModelStoreError as error:
            raise EndpointError(str(error), kind="not_found", told=f"{upstream.model} is not installed") from error
        except EngineError as error:
            raise EndpointError(str(error), kind="connect", told=f"{upstream.model} could not be started") from error
        return HttpAddress.of(upstream.name, f"{found.base_url}/v1", found.api_key.get_secret_value())

    async def status(self, upstream: Upstream) -> ModelStatus:
        """Return the model's status at its server, without loading it."""
        residency = self._app.sender.residency(upstream.model, asked=upstream.model)
        status = await residency.status(upstream.server_model)
        self.tell(upstream.model, status)
        return status

    async def embedding_digest(self, model: str) -> str:
        """Return the digest of the embedding model of the settings, which is asked beside a model; "unknown" where it
        may not be asked.
        """
        try:
            source = self._embedding_source(self._app.settings.embedding or "", model)
        except SelfoptError:
            return UNKNOWN
        return (await source.residency.status(source.model)).digest


def _traced(wanted: Literal["local", "all", "off"], entry: EndpointSettings) -> bool:
    """Say whether an endpoint is told the trace of a request. It is only an id, but one that a server elsewhere has no use for."""
    return wanted == "all" or (wanted == "local" and entry.is_local)


# As the GenAI conventions name them.
_PROVIDERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}


def _provider(entry: EndpointSettings) -> str:
    """Name who serves an endpoint. A server that speaks OpenAI's dialect under any other address counts as `openai`."""
    host = urlsplit(entry.base_url or "").hostname or ""
    return _PROVIDERS.get(host) or ("openai" if entry.kind == "openai_compatible" else entry.kind)


def _finish(traits: EndpointKind, config: EndpointConfig) -> Finish | None:
    """What the settings and the kind of an endpoint change in the fields of its requests."""
    own = partial(with_settings, config) if config.omit or config.extra_body else None
    first = traits.passable
    if first is None or own is None:
        return own or first
    return lambda fields: own(first(fields))


def _environment_of(model: str, status: ModelStatus) -> Environment:
    """What serves a model, as far as thresholds ask."""
    told = {name: getattr(status, name) for name in HELD_FACTS}
    return Environment(endpoint=model.partition("/")[0], model=model, **told)
