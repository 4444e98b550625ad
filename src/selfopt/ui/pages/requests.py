"""Requests: the newest first, by whatever one asks for; and one of them, with why it went as it did."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from selfopt.errors import StoreError, UsageError
from selfopt.records import Rule
from selfopt.ui.asked import SHARED, Asked, Page, PageAnswer, PageError, Route
from selfopt.ui.index import NAMED, Filter, RequestIndex, SeenRequest
from selfopt.verbs.requests import LiveAttempt, RequestRecord
from selfopt.verbs.routing import rules_of_version
from selfopt.words.live import fault_text, request_text
from selfopt.words.rules import rule_text
from selfopt.words.unsure import not_served_text

if TYPE_CHECKING:
    from selfopt.ui.site import Site

A_PAGE = 100
FRESH_S = 1.0
CHOICES = 60
FIELDS = (*NAMED, "errors", "since", "until", "q")
OUTCOMES = ("served", "diverted", "refused", "rejected", "failed", "cancelled")


async def show(asked: Asked) -> PageAnswer:
    """Draw a page of the list."""
    return asked.site.page(asked, "requests.html", title="Requests", active="requests", **await _listed(asked))


async def rows(asked: Asked) -> PageAnswer:
    """Draw the list again, once a second for all who see the same; nothing where nothing came."""
    site = asked.site
    index = await site.live.look()
    if asked.query.one("seen") == _mark(site, index):
        return PageAnswer(status=204, headers=(SHARED,))
    wanted = _wanted(asked)

    async def make() -> PageAnswer:
        return site.shared_part("requests_rows.html", **await _listed(asked))

    return await site.shared.get(("rows", tuple(sorted(wanted.items())), _before(asked)), FRESH_S, make)


async def one(asked: Asked) -> PageAnswer:
    """Draw one request."""
    site = asked.site
    index = await site.live.look(whole=True)
    seen = await site.in_thread(index.find, asked.parts["id"])
    record = await site.live.record(seen) if seen is not None else None
    if seen is None or record is None:
        raise PageError(
            404, "This request is not among the newest", "The files of the home's folder requests hold all of them, one a line."
        )
    rule = await site.in_thread(_rule_of, site, record)
    told: dict[str, Any] = {
        "seen": seen,
        "record": record,
        "sentence": request_text(
            record.outcome, record.model, record.served, record.reason, record.escalated, (seen.confidence, seen.least)
        ),
        "tone": _TONES.get(record.outcome, "calm"),
        "steps": waterfall(record.attempts, record.latency_ms, record.first_byte_ms),
        "escalated": [not_served_text(record.model or "", why, None, None).strip() for why in record.escalated],
        "rule": rule,
        "about": rule_text(rule) if rule is not None else "",
        "heard": index.feedback(record.id),
        "currency": site.app.settings.currency,
        "is_local": index.is_local,
    }
    return site.page(asked, "request.html", title=f"Request {record.id}", active="requests", **told)


_TONES = {"served": "good", "diverted": "attention", "refused": "attention", "rejected": "bad", "failed": "bad"}


def _rule_of(site: Site, record: RequestRecord) -> Rule | None:
    """Return the rule as it was in that version, while it is kept."""
    if record.rule is None:
        return None
    with suppress(StoreError, UsageError):
        found = rules_of_version(site.app, record.version)
        return next((rule for rule in found if rule.rule_id == record.rule), None)
    return None


def _wanted(asked: Asked) -> dict[str, str]:
    return {name: asked.query.one(name).strip() for name in FIELDS if asked.query.one(name).strip()}


def _before(asked: Asked) -> int | None:
    text = asked.query.one("before")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


async def _listed(asked: Asked) -> dict[str, Any]:
    site, wanted, before = asked.site, _wanted(asked), _before(asked)
    index = await site.live.look()
    found: tuple[Sequence[SeenRequest], bool] = await site.in_thread(index.page, Filter(wanted), before, A_PAGE)
    return {
        "rows": found[0],
        "more": found[1],
        "last": found[0][-1].number if found[0] else None,
        "before": before,
        "wanted": dict.fromkeys(FIELDS, "") | wanted,
        "query": wanted,
        "choices": _choices(index),
        "outcomes": OUTCOMES,
        "n": len(index),
        "oldest": index.oldest,
        "seen": _mark(site, index),
        "loaded": site.live.loaded,
        "currency": site.app.settings.currency,
        "dropped": index.dropped or site.live.left_out,
        "fault_text": fault_text,
    }


def _mark(site: Site, index: RequestIndex) -> str:
    """Return what changes when the list does."""
    newest = index.newest
    return f"{'' if site.live.loaded else 'reading-'}{newest.number if newest is not None else 0}"


def _choices(index: RequestIndex) -> dict[str, list[str]]:
    """Return the values that one may choose of each field, the most frequent first."""
    return {name: [value for value, _ in counts.most_common(CHOICES)] for name, counts in index.names.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """One bar of the waterfall. begin, width: of the whole, 0 to 100."""

    label: str
    kind: str
    begin: float
    width: float
    ms: float
    attempt: LiveAttempt | None = None
    said: str = ""


def waterfall(attempts: Sequence[LiveAttempt], latency_ms: float, first_byte_ms: float | None) -> list[Step]:
    """Return the bars of a request's time.

    Attempts follow each other, and the gateway's own time is what is left of the whole; it is shown first, where
    requests wait for a place. Attempts that together took longer than the request ran beside each other.
    """
    whole = max(latency_ms, 0.001, *(attempt.ms for attempt in attempts))
    total = sum(attempt.ms for attempt in attempts)
    beside = total > whole * 1.02
    rest = 0.0 if beside else max(0.0, whole - total)
    steps = [Step("gateway", "own", 0.0, 100 * rest / whole, rest)] if rest > 0.001 else []
    at = rest
    for attempt in attempts:
        begin = 0.0 if beside else at
        served = not attempt.fault and not attempt.escalated and not attempt.second
        kind = "served" if served else "beside" if attempt.second else "unsure" if attempt.escalated else "fault"
        said = "" if served else f"compared in the second way, {attempt.second}" if attempt.second else fault_text(attempt.fault)
        if attempt.escalated not in ("", "unsure") and not attempt.fault and not attempt.second:
            said = not_served_text("", attempt.escalated, None, None).strip()
        steps.append(
            Step(attempt.model, kind, 100 * begin / whole, max(0.4, 100 * attempt.ms / whole), attempt.ms, attempt, said)
        )
        at += attempt.ms
    return steps


PAGE = Page(
    "requests",
    "Requests",
    "/requests",
    "r",
    (Route("/requests", show), Route("/requests/rows", rows), Route("/requests/{id}", one)),
)
