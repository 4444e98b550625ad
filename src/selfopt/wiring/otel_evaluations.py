"""Tells an OpenTelemetry collector what a command measured and decided, once it is over."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import takewhile

from selfopt.errors import SettingsError
from selfopt.records import Decision, Evaluation, Ledger, MetricName
from selfopt.records.trace import TraceContext
from selfopt.settings.otel import OtelSettings

from .otel_facts import Facts
from .otel_spans import MadeSpan, SpanMaker, require_otel, resource_here, span_exporter, wanted

log = logging.getLogger("selfopt.wiring")
EVENT = "gen_ai.evaluation.result"
MOST = 1000
TIMEOUT_S = 3.0
_SCORES: tuple[MetricName, ...] = ("accuracy", "call_accuracy", "restraint", "capability")


def tell_evaluations(own: OtelSettings, ledger: Ledger, since: str, environ: Mapping[str, str]) -> None:
    """Send a span of each evaluation and decision that was stored since then, with a result for each score.

    It waits for the collector for seconds at most. Whatever goes wrong is only logged: what was
    measured is in the ledger.
    """
    if not wanted(own, environ):
        return
    spans = list(_spans_since(ledger, since))
    if not spans:
        return
    try:
        require_otel()
    except SettingsError as error:
        log.warning("%s", error)
        return
    maker = SpanMaker(resource_here())
    for span in spans:
        maker.add(span)
    exporter = span_exporter(own, TIMEOUT_S)
    took = exporter.export(maker.take()).name == "SUCCESS"
    exporter.shutdown()
    if not took:
        log.warning("the OpenTelemetry collector did not take what was measured")


def _spans_since(ledger: Ledger, since: str) -> Iterator[MadeSpan]:
    """Yield the spans, the newest first, a thousand of each kind at most."""
    evaluations = ledger.read(Evaluation, newest_first=True, limit=MOST)
    yield from map(_evaluated, takewhile(lambda one: one.at >= since, evaluations))
    decisions = ledger.read(Decision, newest_first=True, limit=MOST)
    yield from map(_decided, takewhile(lambda one: one.at >= since, decisions))


def _ids(cycle: str | None, own: str) -> TraceContext:
    """Return ids that are always the same for the same record. What belongs to a cycle is one trace."""
    return TraceContext(_digest(cycle or own)[:32], _digest(own)[:16])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _at(text: str) -> tuple[int, int]:
    ns = round(datetime.fromisoformat(text).timestamp() * 1e9)
    return ns, ns


def _evaluated(one: Evaluation) -> MadeSpan:
    figures = ((name, one.metrics.figure(name)) for name in _SCORES)
    events = tuple(
        (EVENT, _facts({"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": value}))
        for name, value in figures
        if value is not None
    )
    facts = _facts(
        {
            "gen_ai.request.model": one.model,
            "gen_ai.usage.input_tokens": one.metrics.input_tokens,
            "gen_ai.usage.output_tokens": one.metrics.output_tokens,
            "selfopt.evaluation.id": one.evaluation_id,
            "selfopt.cycle.id": one.cycle_id,
            "selfopt.phase": one.phase,
            "selfopt.suite": one.suite,
            "selfopt.variant": one.variant,
            "selfopt.runs": one.n_runs,
            "selfopt.trials": one.metrics.n,
            "selfopt.synthetic": one.synthetic,
        }
    )
    return MadeSpan(
        f"evaluate {one.model}", "internal", _ids(one.cycle_id, one.evaluation_id), None, _at(one.at), facts, events=events
    )


def _decided(one: Decision) -> MadeSpan:
    result = _facts(
        {
            "gen_ai.evaluation.name": "promotion",
            "gen_ai.evaluation.score.label": one.verdict,
            "gen_ai.evaluation.score.value": one.estimate,
            "gen_ai.evaluation.explanation": ", ".join(one.reason_codes) or None,
        }
    )
    facts = _facts(
        {
            "gen_ai.request.model": one.model,
            "selfopt.decision.id": one.decision_id,
            "selfopt.cycle.id": one.cycle_id,
            "selfopt.phase": one.phase,
            "selfopt.variant": one.candidate_variant or None,
            "selfopt.synthetic": one.synthetic,
        }
    )
    return MadeSpan(
        f"decide {one.model}",
        "internal",
        _ids(one.cycle_id, one.decision_id),
        None,
        _at(one.at),
        facts,
        events=((EVENT, result),),
    )


def _facts(facts: Mapping[str, str | bool | int | float | None]) -> Facts:
    return {name: value for name, value in facts.items() if value is not None}
