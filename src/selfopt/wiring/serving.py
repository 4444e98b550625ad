"""`serve`: the gateway, put together from settings, rules and endpoints."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.errors import EndpointError, EngineError, ModelStoreError, SettingsError, UsageError
from selfopt.gateway import (
    AccessLog,
    Attempts,
    ChatParts,
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
    RulesWatch,
    SegmentJournal,
    TrailSink,
    Upstream,
    WebLimits,
    this_writer,
)
from selfopt.home import ChainedFile
from selfopt.records import Endpoint, ModelStatus

from .app import App
from .keep_warm import warmer
from .workers import Worker


class AppUpstreams:
    """The `Upstreams` of this app's settings. What a model's name leads to is looked up once."""

    def __init__(self, app: App, pool: Pool, *, alone: bool = True) -> None:
        """alone: whether no other process serves beside this one."""
        self._app = app
        self._pool = pool
        self._alone = alone
        self._known: dict[str, Upstream] = {}
        self._asked: dict[str, Endpoint] = {}

    def find(self, model: str, asked: str) -> Upstream:
        """Who serves a model named in full, for a request that names another or the same. UnknownModelError, ConsentError."""
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
        name, entry = app.settings.endpoint_of(app.resolve_model(model))
        config = app.settings.endpoint_config(name, app.environ)
        if entry.traits.engine and not self._alone:
            raise UsageError(f"{model} is run by the embedded engine, which belongs to one process: serve it without --workers")
        address = None
        if entry.traits.speaks == OpenAIChat.name and config.base_url and not entry.traits.engine:
            key = config.api_key.get_secret_value() if config.api_key is not None else None
            address = HttpAddress.of(name, entry.traits.dialect(config).root, key)
        direct = address is not None or entry.traits.engine
        return Upstream(
            name=name,
            model=model,
            server_model=app.sender.server_model(model),
            address=address,
            # Whether the request may go there was decided when it was found; from here on the model is this one.
            adapter=(lambda: self._endpoint(model)) if direct else (lambda: app.sender.endpoint(model, asked=model)),
            speaks=entry.traits.speaks if direct else "",
            gate=model if entry.traits.engine else name,
            concurrency=app.settings.engine.slots if entry.traits.engine else 64,
            max_reply_bytes=config.max_reply_bytes,
        )

    def _endpoint(self, model: str) -> Endpoint:
        """Over the gateway's own connections. Made at the first chat that goes through a variant, since what writes it takes a while to import."""
        found = self._asked.get(model)
        if found is None:
            upstream, app = self.find(model, model), self._app
            config = app.settings.endpoint_config(upstream.name, app.environ)
            # Where the engine's child will be is not known yet; how it is spoken to is.
            here = config.model_copy(update={"base_url": config.base_url or "http://127.0.0.1"})
            found = self._asked[model] = PooledEndpoint(
                upstream.name,
                self._pool,
                app.settings.endpoints[upstream.name].traits.dialect(here),
                lambda: self._address(upstream),
                lambda: app.sender.endpoint(model, asked=model),
                upstream.max_reply_bytes,
            )
        return found

    async def _address(self, upstream: Upstream) -> HttpAddress:
        address = upstream.address or await self.connect(upstream)
        assert address is not None
        return address

    async def connect(self, upstream: Upstream) -> HttpAddress | None:
        """The address of a model of the embedded engine, started when it is not running. EndpointError when it does not start."""
        if not self._app.settings.endpoints[upstream.name].traits.engine:
            return None
        try:
            found = await self._app.engine.connect(upstream.model)
        except ModelStoreError as error:
            raise EndpointError(str(error), kind="not_found", told=f"{upstream.model} is not installed") from error
        except EngineError as error:
            raise EndpointError(str(error), kind="connect", told=f"{upstream.model} could not be started") from error
        return HttpAddress.of(upstream.name, f"{found.base_url}/v1", found.api_key.get_secret_value())

    async def status(self, upstream: Upstream) -> ModelStatus:
        """What the server tells of the model without loading it."""
        residency = self._app.sender.residency(upstream.model, asked=upstream.model)
        return await residency.status(upstream.server_model)


def gateway_options(app: App, host: str | None, port: int | None, worker: Worker | None = None) -> GatewayOptions:
    """From the settings; host and port where the command line names them. worker: has its share of what holds for all together."""
    share = 1 if worker is None else worker.count
    own = app.settings.gateway
    here = {
        "host": host or own.host,
        "port": own.port if port is None else port,
        # Twice within the time after which our own engine drops a model, however short that is.
        "keep_warm_s": min(own.keep_warm_s, app.settings.engine.sleep_idle_s / 2),
    }
    web = WebLimits(
        max_body_bytes=own.max_body_bytes,
        max_held_bytes=max(own.max_held_bytes // share, own.max_body_bytes),
        max_connections=max(own.max_connections // share, 1),
    )
    return GatewayOptions(own=own.model_copy(update=here), limits=app.own_limits, web=web)


def build_gateway(
    app: App,
    options: GatewayOptions,
    journal: RequestJournal | None = None,
    log: Callable[[str], None] | None = None,
    worker: Worker | None = None,
) -> Gateway:
    """All parts, within the running loop; nothing listens yet. journal: in place of the home's files of requests; log: gets the lines
    of the access log, from another thread; worker: where several processes serve, of which the first keeps models warm. Raises what reading
    the rules raises, and StoreError when the audit trail or the requests cannot be written: what is answered then would leave no trace."""
    app.home.ensure()
    config = app.enforcer.load()
    app.home.check_room()
    trail = ChainedFile(app.home.audit_trail)
    trail.check()
    keys = FileKeys(app.keys)
    _refuse_open_door(options.own.host, keys)
    pool, fallbacks = Pool(), app.settings.fallbacks
    upstreams = AppUpstreams(app, pool, alone=worker is None)
    # Who looks after warm models asks for the rules in force only once they are watched.
    keeps_warm = app.settings.warm_up.enabled and (worker is None or worker.number == 0)
    warmth = KeepWarm(warmer(app, lambda: rules.current.config), options.own.keep_warm_s) if keeps_warm else None
    rules = RulesWatch(
        app.home.routing_config,
        config,
        app.route_options(),
        poll_s=options.rules_poll_s,
        read=app.enforcer.look,
        candidates={"atomic": _known(app, fallbacks.atomic), "extended": _known(app, fallbacks.extended)},
        changed=lambda now: warmth.follow(now.config) if warmth is not None else None,
    )
    audit = TrailSink(trail)
    chat = ChatParts(
        options=options,
        rules=rules,
        resolve=app.resolve_model,
        attempts=Attempts(options, upstreams, pool, audit, Harness(options, Passing(options, upstreams, pool))),
        audit=audit,
        journal=journal
        or SegmentJournal(app.home.requests, audit, this_writer(), options=JournalOptions(segment_bytes=options.segment_bytes)),
        access_log=AccessLog(log, as_json=options.own.log_format == "json")
        if log is not None and options.own.access_log
        else None,
    )
    return Gateway(
        GatewayParts(
            chat=chat,
            keys=keys,
            pool=pool,
            models=lambda: _listed_models(app, rules),
            served_before=lambda writer: any(app.home.requests.glob(f"{writer}-*.jsonl")),
            warmth=warmth,
            worker="" if worker is None else str(worker.number),
        )
    )


def _refuse_open_door(host: str, keys: FileKeys) -> None:
    """Whoever reaches an address beyond this machine must show a key. SettingsError without one that is valid."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not keys.valid:
        raise SettingsError(
            f"--host {host!r} can be reached from other machines, and there is no API key to ask for: "
            "make one with `selfopt keys add NAME`, or listen on 127.0.0.1"
        )


def _listed_models(app: App, rules: RulesWatch) -> list[str]:
    """Aliases, models with rules and installed local models, as far as they can be asked."""
    names = {*app.settings.models.aliases, *(rule.model for rule in rules.current.config.rules)}
    names |= {model.name for model in app.store.installed() if model.name in app.catalogue}
    return sorted(name for name in names if app.known_model(name) is not None)


def _known(app: App, names: Iterable[str]) -> tuple[str, ...]:
    """The full names of the models that can be asked, as in the loop."""
    return tuple(full for full in map(app.known_model, names) if full is not None)
