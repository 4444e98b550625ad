"""Builds the gateway of `serve` from settings, rules and endpoints."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import partial

from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.servers import with_settings
from selfopt.errors import EndpointError, EngineError, ModelStoreError, SelfoptError, SettingsError, UsageError
from selfopt.gateway import (
    AccessLog,
    Attempts,
    ChatParts,
    CostBook,
    DriftFile,
    DriftWatch,
    EmbeddingSteps,
    FileKeys,
    Gateway,
    GatewayOptions,
    GatewayParts,
    Harness,
    HttpAddress,
    JournalOptions,
    KeepWarm,
    Passing,
    Pool,
    PooledEndpoint,
    RequestJournal,
    RulesInForce,
    RulesWatch,
    SegmentJournal,
    SureParts,
    ThresholdWatch,
    TrailSink,
    Upstream,
    WebLimits,
    this_writer,
)
from selfopt.home import ChainedFile, secret_texts
from selfopt.records import HELD_FACTS, Endpoint, Environment, ModelStatus, RoutingConfig, Rule, Voided
from selfopt.records.seams import EmbeddingSource
from selfopt.records.spec import UNKNOWN
from selfopt.routing import ThresholdsHeld, void_event
from selfopt.settings import Settings
from selfopt.variants import options_of

from .app import App
from .inventory import Inventory
from .keep_warm import warmer
from .workers import Worker


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
        self._asked: dict[str, Endpoint] = {}
        self._families: dict[str, str] = {}
        self._observed = observed
        self._embedding = EmbeddingSteps(self._embedding_source)

    def tell(self, model: str, status: ModelStatus) -> None:
        """Take note of what a server said about a model."""
        if status.family != "unknown":
            self._families[self._app.settings.one_name(model)] = status.family
        self._observed(model, _environment_of(model, status))

    def find(self, model: str, asked: str) -> Upstream:
        """Return the upstream of a model.

        Args:
            model: full name of the model that serves.
            asked: full name of the model that the request names.

        Raises:
            UnknownModelError: no endpoint has the model.
            ConsentError: the request may not leave this machine.
        """
        self._app.sender.require(asked, model)
        known = self._known.get(model)
        if known is None:
            if len(self._known) >= 4096:
                self._known.clear()
                self._asked.clear()
            known = self._known[model] = self._make(model)
        return known

    def _make(self, model: str) -> Upstream:
        app = self._app
        name, entry = app.settings.endpoint_of(app.full_name(model))
        config = app.settings.endpoint_config(name, app.environ)
        self._require_alone(model)
        address = None
        if entry.traits.speaks == OpenAIChat.name and config.base_url and not entry.traits.engine:
            key = config.api_key.get_secret_value() if config.api_key is not None else None
            proxy = config.proxy.get_secret_value() if config.proxy is not None else None
            address = HttpAddress.of(name, entry.traits.dialect(config).root, key, proxy, hidden=secret_texts(config.extra_body))
        direct = address is not None or entry.traits.engine
        return Upstream(
            name=name,
            model=model,
            server_model=app.sender.server_model(model),
            address=address,
            # `find` has checked the consent, so from here on the request counts as one for this model.
            adapter=(lambda: self._endpoint(model)) if direct else (lambda: app.sender.endpoint(model, asked=model)),
            speaks=entry.traits.speaks if direct else "",
            gate=model if entry.traits.engine else name,
            concurrency=app.settings.live_concurrency_of(name),
            max_reply_bytes=config.max_reply_bytes,
            ignores_choice=entry.traits.ignores_choice,
            writes_grammars=entry.traits.writes_grammars,
            finish=partial(with_settings, config) if config.omit or config.extra_body else None,
            family=lambda: self._families.get(app.settings.one_name(model), "unknown"),
            known_as=app.settings.one_name(model),
            streamed=entry.traits.engine,
            gives_logprobs=entry.may_give_logprobs,
            embeds=partial(self._embedding.answer, model),
        )

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
            found = await self._app.engine.connect(upstream.model)
            if upstream.known_as not in self._families:
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


def _environment_of(model: str, status: ModelStatus) -> Environment:
    """What serves a model, as far as thresholds ask."""
    told = {name: getattr(status, name) for name in HELD_FACTS}
    return Environment(endpoint=model.partition("/")[0], model=model, **told)


def gateway_options(app: App, host: str | None, port: int | None, worker: Worker | None = None) -> GatewayOptions:
    """Take the gateway's options from the settings.

    Args:
        host, port: from the command line; None for the settings'.
        worker: one of several processes, which gets its share of the limits for all of them.
    """
    share = 1 if worker is None else worker.count
    own = app.settings.gateway
    here = {
        "host": host or own.host,
        "port": own.port if port is None else port,
        # At least twice in the time after which the embedded engine drops an idle model.
        "keep_warm_s": min(own.keep_warm_s, app.settings.engine.sleep_idle_s / 2),
    }
    web = WebLimits(
        max_body_bytes=own.max_body_bytes,
        max_held_bytes=max(own.max_held_bytes // share, own.max_body_bytes),
        max_connections=max(own.max_connections // share, 1),
    )
    return GatewayOptions(own=own.model_copy(update=here), limits=app.own_limits, web=web, serve=app.settings.serve)


def build_gateway(
    app: App,
    options: GatewayOptions,
    journal: RequestJournal | None = None,
    log: Callable[[str], None] | None = None,
    worker: Worker | None = None,
) -> Gateway:
    """Build all parts of the gateway within the running event loop. Nothing listens yet.

    Args:
        journal: replaces the home's request files.
        log: gets the lines of the access log, from another thread.
        worker: one of several serving processes; only the first keeps models warm.

    Raises:
        SettingsError: other machines can reach the host and no API key is valid.
        StoreError: the rules cannot be read, or the audit trail or requests not written.
    """
    app.home.ensure()
    config = app.enforcer.load()
    app.home.check_room()
    audit, pool = _audit(app), Pool()
    keys = FileKeys(app.keys)
    _refuse_open_door(options.own.host, keys)
    thresholds = _thresholds(app, audit, lambda: rules.current.config.version)
    upstreams = AppUpstreams(app, pool, alone=worker is None, observed=thresholds.observed)
    warmth = _warmth(app, options, upstreams, lambda: rules.current.config, worker)
    watch = ThresholdWatch(partial(_look, app, upstreams, lambda: rules.current.config), options.own.keep_warm_s)
    drift = _drift(app, thresholds, worker)
    rules: RulesWatch = _watch(app, config, options, partial(_follow, watch, warmth, drift))
    inventory = Inventory(app, lambda: rules.current.config)
    harness, shared = Harness(options, Passing(options, upstreams, pool)), None if worker is None else worker.conversations
    attempts = Attempts(options, upstreams, pool, audit, harness, SureParts(shared, thresholds.voided, drift))
    chat = ChatParts(
        options=options,
        rules=rules,
        resolve=app.full_name,
        one_name=app.settings.one_name,
        find=inventory.find,
        attempts=attempts,
        audit=audit,
        journal=journal or _journal(app, options, audit),
        costs=_costs(app.settings),
        access_log=AccessLog(log, as_json=options.own.log_format == "json") if log and options.own.access_log else None,
    )
    return Gateway(
        GatewayParts(
            chat=chat,
            keys=keys,
            pool=pool,
            models=inventory.names,
            served_before=lambda writer: any(app.home.requests.glob(f"{writer}-*.jsonl")),
            warmth=warmth,
            thresholds=watch,
            drift=drift,
            worker="" if worker is None else str(worker.number),
        )
    )


def _audit(app: App) -> TrailSink:
    """What writes to the audit trail. Raises AuditError if nothing can be written, or the trail was cut."""
    trail = ChainedFile(app.home.audit_trail)
    trail.check()
    return TrailSink(trail)


def _thresholds(app: App, audit: TrailSink, version: Callable[[], int]) -> ThresholdsHeld:
    """What knows which thresholds hold, and tells the trail of each that does not. version: of the rules in force."""

    def tell(rule: Rule, voided: Voided) -> None:
        told = audit.append(void_event(rule, voided, version()))
        told.add_done_callback(lambda done: done.cancelled() or done.exception())  # the log has it as well

    return ThresholdsHeld(tell, one_name=app.settings.one_name)


def _warmth(
    app: App, options: GatewayOptions, upstreams: AppUpstreams, now: Callable[[], RoutingConfig], worker: Worker | None
) -> KeepWarm | None:
    """What keeps models warm, in one process. now: the rules in force."""
    if not app.settings.warm_up.enabled or (worker is not None and worker.number):
        return None
    return KeepWarm(warmer(app, now, upstreams.tell), options.own.keep_warm_s)


def _drift(app: App, held: ThresholdsHeld, worker: Worker | None) -> DriftWatch:
    """What watches live traffic, and voids thresholds in the rules."""

    def void(rule: Rule, voided: Voided) -> None:
        name = voided.calibration_id
        app.enforcer.void(rule.rule_id, voided.why, calibration_id=name, kind=voided.kind, rise=voided.rise)

    number, marks = (0, None) if worker is None else (worker.number, worker.judged)
    path = app.home.drift if number == 0 else app.home.drift.with_name(f"drift-{number}.json")
    return DriftWatch(held, void, marks=marks, file=DriftFile(path))


def _follow(watch: ThresholdWatch, warmth: KeepWarm | None, drift: DriftWatch, now: RulesInForce) -> None:
    """Follow new rules."""
    watch.follow(now.config)
    drift.follow(now.config)
    if warmth is not None:
        warmth.follow(now.config)


def _costs(settings: Settings) -> CostBook:
    """What tells the costs of live requests."""
    return CostBook(settings.price_of, is_local=settings.is_local, one_name=settings.one_name)


async def _look(app: App, upstreams: AppUpstreams, now: Callable[[], RoutingConfig], model: str) -> None:
    """Ask what serves a model of a rule, and what embeds for it where the rule's variant needs that. now: the rules in force."""
    full = app.known_model(model)
    if full is None:
        return
    status = await upstreams.status(upstreams.find(full, full))
    variants = [rule.variant for rule in now().rules if rule.model == model and rule.serve_when is not None]
    if any(variant is not None and options_of(variant).embeds for variant in variants):
        digest = await upstreams.embedding_digest(full)
        upstreams.tell(full, status.model_copy(update={"embedding_digest": digest}))


def _watch(app: App, config: RoutingConfig, options: GatewayOptions, changed: Callable[[RulesInForce], None]) -> RulesWatch:
    fallbacks = app.settings.fallbacks
    return RulesWatch(
        app.home.routing_config,
        config,
        app.route_options(),
        poll_s=options.rules_poll_s,
        read=app.enforcer.look,
        candidates={"atomic": _known(app, fallbacks.atomic), "extended": _known(app, fallbacks.extended)},
        changed=changed,
    )


def _journal(app: App, options: GatewayOptions, audit: TrailSink) -> RequestJournal:
    return SegmentJournal(app.home.requests, audit, this_writer(), options=JournalOptions(segment_bytes=options.segment_bytes))


def _refuse_open_door(host: str, keys: FileKeys) -> None:
    """Raise SettingsError when other machines can reach the host and no API key is valid."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not keys.valid:
        raise SettingsError(
            f"--host {host!r} can be reached from other machines, and no API key protects it: "
            "make one with `selfopt keys add NAME`, or listen on 127.0.0.1"
        )


def _known(app: App, names: Iterable[str]) -> tuple[str, ...]:
    """Return the full names of the models that can be asked; skip others as the loop does."""
    return tuple(full for full in map(app.known_model, names) if full is not None)
