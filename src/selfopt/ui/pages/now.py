"""Now: is everything all right? Requests a second, who answers, what it costs, what is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from selfopt.errors import StoreError
from selfopt.records import RoutingConfig
from selfopt.ui.asked import Asked, Page, PageAnswer, Route
from selfopt.ui.drawing import url
from selfopt.ui.index import BUCKET_S, Bucket, Filter, RequestIndex
from selfopt.verbs.models import places_of
from selfopt.words.experiments import measuring_sentence
from selfopt.words.live import Tone, TroubleKind, all_right_text, fault_text, trouble_text, troubles_text

if TYPE_CHECKING:
    from selfopt.ui.site import Site

FRESH_S = 1.0
PLACES_S = 10.0
RECENT_MINUTES = 10
BAD_SHARE, NOTED_SHARE = 0.05, 0.005
FEW, SEVERAL = 10, 3
MOST_PLACES = 12
NEWEST = 8
SPANS = {"15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400}
MOST_POINTS = 180


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that needs somebody. link: where to look."""

    tone: Tone
    text: str
    advice: str
    link: str = ""


async def show(asked: Asked) -> PageAnswer:
    """Draw the page."""
    told = await _told(asked.site, _span(asked))
    return asked.site.page(asked, "now.html", title="Now", active="now", **told)


async def part(asked: Asked) -> PageAnswer:
    """Draw what changes, once a second for all readers."""
    site, span = asked.site, _span(asked)

    async def make() -> PageAnswer:
        return site.shared_part("now_live.html", **await _told(site, span))

    return await site.shared.get(("now", span), FRESH_S, make)


def _span(asked: Asked) -> str:
    span = asked.query.one("span", "1h")
    return span if span in SPANS else "1h"


async def _told(site: Site, span: str) -> dict[str, Any]:
    index = await site.live.look()
    now = site.live.clock()
    config, unread = await _rules(site)
    recent = index.total(now - 60 * RECENT_MINUTES, now)
    places = _places(site, index, config)
    troubles = _troubles(site, index, recent, config, unread) + away(places)
    troubles.sort(key=lambda trouble: trouble.tone != "bad")
    worst: Tone = "bad" if any(t.tone == "bad" for t in troubles) else "attention" if troubles else "good" if recent.n else "calm"
    verdict = troubles_text([t.text for t in troubles]) if troubles else all_right_text(recent.n, recent.failed, RECENT_MINUTES)
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    today = index.total(midnight, now)
    minute = index.total(now - 60, now - BUCKET_S)
    return {
        "verdict": verdict,
        "tone": worst,
        "troubles": troubles,
        "recent": recent,
        "today": today,
        "counted_from": index.since if index.since is not None and index.since > midnight and site.live.left_out else None,
        "rate": minute.n / (60 - BUCKET_S),
        "p50": index.quantile(now - 60 * RECENT_MINUTES, 0.5),
        "p95": index.quantile(now - 60 * RECENT_MINUTES, 0.95),
        "currency": site.app.settings.currency,
        "span": span,
        "spans": list(SPANS),
        "series": _series(index, now, SPANS[span]),
        "config": config,
        "places": places,
        "newest": index.page(Filter({}), most=NEWEST)[0],
        "any": len(index) > 0,
        "loaded": site.live.loaded,
        "now": now,
        "minutes": RECENT_MINUTES,
        "measuring": _measuring(site),
    }


async def _rules(site: Site) -> tuple[RoutingConfig | None, str]:
    """Return the rules in force, or why they cannot be read."""
    try:
        return await site.live.rules(), ""
    except StoreError as error:
        return None, str(error)


def _troubles(site: Site, index: RequestIndex, recent: Bucket, config: RoutingConfig | None, unread: str) -> list[Trouble]:
    """List what needs somebody."""
    found: list[Trouble] = []

    def add(tone: Tone, kind: TroubleKind, what: str = "", n: int = 0, of: int = 0, link: str = "") -> None:
        found.append(Trouble(tone, *trouble_text(kind, what, n, of), link))

    if config is None:
        add("bad", "no_rules_read", unread)
    for state in site.live.states():
        if state.fault:
            add("bad", "unrecorded", state.fault)
        for name in state.open[:3]:
            add("bad", "left_alone", name)
        if state.rules_faults:
            add("attention", "rules_refused", n=state.rules_faults)
    if recent.failed and recent.failed >= NOTED_SHARE * recent.n:
        faults = index.faults(site.live.clock() - 60 * RECENT_MINUTES).most_common(1)
        what = f"{faults[0][0][0]}, which {fault_text(faults[0][0][1] or 'server')}" if faults else "no model"
        tone: Tone = "bad" if recent.failed >= max(SEVERAL, BAD_SHARE * recent.n) else "attention"
        add(tone, "failing", what, recent.failed, recent.n, url("/requests", outcome="failed"))
    if site.live.unreadable:
        add("bad", "unreadable", n=site.live.unreadable)
    if recent.n >= FEW and recent.rejected >= 0.2 * recent.n:
        add("attention", "rejected", n=recent.rejected, of=recent.n, link=url("/requests", outcome="rejected"))
    if recent.n >= FEW and recent.refused >= 0.5 * recent.n:
        add("attention", "refused", n=recent.refused, of=recent.n, link=url("/requests", outcome="refused"))
    for rule in config.rules if config is not None else ():
        if rule.voided is not None and rule.serve_when is not None:
            add("attention", "voided", rule.model, link=url("/requests", rule=rule.rule_id))
    return found


def away(places: list[dict[str, Any]] | None) -> list[Trouble]:
    """List the models that rules name and that nobody can ask."""
    kinds: dict[str, TroubleKind] = {"here": "away", "unknown": "no_endpoint"}
    away = [row for row in places or () if row["named"] and row["problem"] and row["where"] in kinds]
    return [Trouble("attention", *trouble_text(kinds[row["where"]], row["name"])) for row in away[:3]]


def _series(index: RequestIndex, now: float, span_s: int) -> dict[str, Any]:
    """Return requests a second by what became of them, for the chart."""
    buckets = index.buckets(now - span_s, now)
    size = max(1, -(-len(buckets) // MOST_POINTS))
    groups = [buckets[at : at + size] for at in range(0, len(buckets) - size + 1, size)]
    sums = []
    for group in groups:
        whole = Bucket()
        for _, bucket in group:
            whole += bucket
        sums.append(whole)
    seconds = size * BUCKET_S

    def line(label: str, field: str, tone: str) -> dict[str, Any]:
        return {"label": label, "tone": tone, "values": [round(getattr(each, field) / seconds, 3) for each in sums]}

    lines = [line("all", "n", "accent"), line("escalated", "escalated", "attention"), line("failed", "failed", "bad")]
    return {"x": [group[0][0] for group in groups], "lines": [*lines, line("refused", "refused", "text-3")]}


def _places(site: Site, index: RequestIndex, config: RoutingConfig | None) -> list[dict[str, Any]] | None:
    """Return where the models are that rules name and that served of late; None while it is being asked."""
    rules = config.rules if config is not None else ()
    named = [
        name for rule in rules for name in ((rule.model,) if rule.allow else ()) + ((rule.fallback,) if rule.fallback else ())
    ]
    served = [name for name, _ in index.names["served"].most_common(MOST_PLACES)]
    names = tuple(dict.fromkeys([*named, *served]))[:MOST_PLACES]

    async def make() -> list[dict[str, Any]]:
        return await places_of(site.app, names)

    rows = site.shared.latest(("places", names), PLACES_S, make)
    if rows is None:
        return None
    last = _last_served(index)
    return [row | {"last": last.get(row["name"]), "named": row["name"] in named} for row in rows]


def _measuring(site: Site) -> str:
    """Say who measures under this ledger; nothing while it is being asked, which may take as long as a database is away."""

    async def make() -> str:
        from selfopt.verbs.experiments import running_now

        found = await site.in_thread(running_now, site.app)
        return measuring_sentence(found.told) if found.told else ""

    return site.shared.latest(("measuring",), PLACES_S, make) or ""


def _last_served(index: RequestIndex, most: int = 500) -> dict[str, float]:
    """Return when each model answered last, among the newest requests."""
    found: dict[str, float] = {}
    for seen in index.page(Filter({}), most=most)[0]:
        found.setdefault(seen.served, seen.at)
    return found


PAGE = Page("now", "Now", "/", "n", (Route("/", show), Route("/now", part)))
