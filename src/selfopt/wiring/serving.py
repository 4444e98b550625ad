"""Builds the gateway of `serve` from settings, rules and endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from selfopt.errors import SettingsError
from selfopt.gateway import (
    AccessLog,
    Allowances,
    AttemptParts,
    Attempts,
    ChatParts,
    CostBook,
    DriftFile,
    DriftWatch,
    EarlierResponses,
    FileKeys,
    Gateway,
    GatewayOptions,
    GatewayParts,
    Harness,
    JournalOptions,
    KeepWarm,
    KeptLimits,
    KeptResponses,
    KeyCounters,
    LiveCounters,
    ModelCounters,
    Passing,
    Pool,
    RequestJournal,
    RulesInForce,
    RulesWatch,
    SegmentJournal,
    SpentElsewhere,
    SureParts,
    ThresholdWatch,
    Tracing,
    TrailSink,
    WebLimits,
    this_writer,
)
from selfopt.home import ChainedFile
from selfopt.records import RoutingConfig, Rule, Voided
from selfopt.routing import ThresholdsHeld, void_event
from selfopt.settings import Settings
from selfopt.variants import options_of

from .app import App
from .inventory import Inventory
from .keep_warm import warmer
from .otel import span_sink
from .otel_facts import Here, NamedModels
from .paging import is_loopback, page_of
from .upstreams import AppUpstreams
from .workers import Worker


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
    _ready_home(app, worker)
    audit, pool, allowances = _audit(app), Pool(), _allowances(app, worker)
    keys = _keys(app, options.own.host, allowances)
    thresholds = _thresholds(app, audit, lambda: rules.current.config.version)
    upstreams = AppUpstreams(app, pool, alone=worker is None, observed=thresholds.observed)
    warmth = _warmth(app, options, upstreams, lambda: rules.current.config, worker)
    watch, drift = _threshold_watch(app, options, upstreams, lambda: rules.current.config), _drift(app, thresholds, worker)
    rules: RulesWatch = _watch(app, app.enforcer.load(), options, partial(_follow, watch, warmth, drift))
    inventory = Inventory(app, lambda: rules.current.config)
    conversations, breaks = (None, None) if worker is None else (worker.conversations, worker.breaks)
    sure, harness = SureParts(conversations, thresholds.voided, drift), Harness(options, Passing(options, upstreams, pool))
    chat = ChatParts(
        options=options,
        rules=rules,
        resolve=app.full_name,
        one_name=app.settings.one_name,
        find=inventory.find,
        attempts=Attempts(AttemptParts(options, upstreams, pool, audit, harness, sure, allowances, breaks)),
        audit=audit,
        journal=journal or _journal(app, options, audit, allowances),
        allowances=allowances,
        earlier=_earlier(app, options),
        tracing=_tracing(app, options, inventory),
        metrics=LiveCounters(ModelCounters(inventory.known_now, app.settings.one_name)),
        access_log=AccessLog(log, as_json=options.own.log_format == "json") if log and options.own.access_log else None,
    )
    parts = GatewayParts(
        chat=chat,
        keys=keys,
        pool=pool,
        models=inventory.names,
        served_before=partial(_served_before, app),
        warmth=warmth,
        thresholds=watch,
        drift=drift,
        spent=_spent(app, allowances, worker),
        worker=None if worker is None else worker.number,
        figures=None if worker is None else worker.figures,
        page=page_of(app, options, worker),
    )
    return Gateway(parts)


def _tracing(app: App, options: GatewayOptions, inventory: Inventory) -> Tracing:
    """What begins the traces of requests. Raises SettingsError if they are wanted and cannot be made."""
    otel, one_name = app.settings.otel, app.settings.one_name
    here = Here(options.own.host, options.own.port)
    return Tracing(span_sink(otel, here, lambda: NamedModels(inventory.known_now(), one_name), app.environ), otel.sample)


def _served_before(app: App, writer: str) -> bool:
    return any(app.home.requests.glob(f"{writer}-*.jsonl"))


def _earlier(app: App, options: GatewayOptions) -> EarlierResponses | None:
    """What keeps answers for clients; None unless the settings want it."""
    own = options.own
    if not own.keep_responses:
        return None
    limits = KeptLimits(own.keep_responses, own.keep_responses_bytes, own.keep_responses_days)
    return EarlierResponses(KeptResponses(app.home.responses, limits), options.body, own.max_body_bytes)


def _ready_home(app: App, worker: Worker | None) -> None:
    """Make the folder. Of several workers, the first follows the rules that a database hands out, for all of them."""
    app.home.ensure()
    if app.handed is not None and (worker is None or worker.number == 0):
        app.handed.follow()


def _audit(app: App) -> TrailSink:
    """What writes to the audit trail. Raises AuditError if nothing can be written, or the trail was cut."""
    app.home.check_room()
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


def _allowances(app: App, worker: Worker | None) -> Allowances:
    """What holds keys to their budgets, in all workers together."""
    costs = _costs(app.settings)
    counters, number = (None, 0) if worker is None else (worker.counters, worker.number)
    return Allowances(costs, counters or KeyCounters(number + 1), worker=number, currency=app.settings.currency)


def _spent(app: App, allowances: Allowances, worker: Worker | None) -> SpentElsewhere | None:
    """What follows the records that others wrote, in one process. It has counted those of before."""
    if worker is not None and worker.number:
        return None
    spent = SpentElsewhere(app.home.requests, allowances)
    spent.look()
    return spent


def _threshold_watch(
    app: App, options: GatewayOptions, upstreams: AppUpstreams, now: Callable[[], RoutingConfig]
) -> ThresholdWatch:
    """What asks who serves the models of thresholds. now: the rules in force."""
    return ThresholdWatch(partial(_look, app, upstreams, now), options.own.keep_warm_s)


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


def _journal(app: App, options: GatewayOptions, audit: TrailSink, allowances: Allowances) -> RequestJournal:
    journal = SegmentJournal(app.home.requests, audit, this_writer(), options=JournalOptions(segment_bytes=options.segment_bytes))
    allowances.begin(journal.first)
    return journal


def _keys(app: App, host: str, allowances: Allowances) -> FileKeys:
    """Return the keys. Raises SettingsError when other machines can reach the host and none is valid."""
    keys = FileKeys(app.keys, changed=allowances.follow)
    if not is_loopback(host) and not keys.valid:
        raise SettingsError(
            f"--host {host!r} can be reached from other machines, and no API key protects it: "
            "make one with `selfopt keys add NAME`, or listen on 127.0.0.1"
        )
    return keys


def _known(app: App, names: Iterable[str]) -> tuple[str, ...]:
    """Return the full names of the models that can be asked; skip others as the loop does."""
    return tuple(full for full in map(app.known_model, names) if full is not None)
