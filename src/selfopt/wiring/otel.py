"""Sends spans and metrics of live requests to an OpenTelemetry collector, from a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from selfopt import __version__
from selfopt.gateway import SpanSink, TracedRequest
from selfopt.home import escape_control
from selfopt.settings.otel import OtelSettings

from .otel_facts import INSTRUMENTS, Here, NamedModels, attempt_facts, error_of, figures, request_facts
from .otel_spans import MadeSpan, SpanMaker, bounded_session, require_otel, resource_here, span_exporter, wanted

log = logging.getLogger("selfopt.gateway")
PAUSE_S = 0.5
BATCH = 64
SWITCH_S = 0.0005
"""How soon a request gets the interpreter while spans are made; Python's own 5 ms would show in the slowest answers."""
CLOSE_S = 2.0


def span_sink(
    own: OtelSettings, here: Here, names: Callable[[], NamedModels], environ: Mapping[str, str] = os.environ
) -> SpanSink | None:
    """Return what sends spans to the collector of the settings; None where nobody wants that.

    Args:
        here: where the gateway listens.
        names: returns the models that have names of their own.
        environ: OTEL_SDK_DISABLED counts; the other variables are read by the packages of OpenTelemetry.

    Raises:
        SettingsError: the extra is not installed.
    """
    if not wanted(own, environ):
        return None
    require_otel()
    return _Exporting(own, here, names)


def _sampled(request: TracedRequest) -> bool:
    own = request.trace.own
    return own is not None and own.sampled


def _make_spans(spans: SpanMaker, request: TracedRequest, here: Here, names: NamedModels) -> None:
    """Make the spans of one request."""
    own, came, operation, record = request.trace.own, request.trace.came, request.trace.operation, request.record
    assert own is not None

    def at(seconds: float) -> int:
        return request.ended_ns - round((request.ended - seconds) * 1e9)

    facts = request_facts(request, here)
    failed = record.status >= 500 or error_of(request) == "broken_off"
    times = at(request.ticket.began), request.ended_ns
    spans.add(MadeSpan(f"{operation} {names.label(record.model)}", "server", own, came, times, facts, failed))
    for each in request.trace.attempts:
        facts = attempt_facts(each, operation)
        name, times = f"{operation} {names.label(each.upstream.model)}", (at(each.began), at(each.ended))
        spans.add(MadeSpan(name, "client", own.below(each.span_id), own, times, facts, "error.type" in facts))


class _Exporting:
    """The `SpanSink` of a collector."""

    def __init__(self, own: OtelSettings, here: Here, names: Callable[[], NamedModels]) -> None:
        self._limit, self._here, self._names = own.queue, here, names
        self._waiting: deque[TracedRequest] = deque()
        self._sent = self._dropped = self._failed = 0
        self._down = False
        resource = resource_here()
        self._spans = SpanMaker(resource)
        self._exporter = span_exporter(own)
        self._meters = _Meters(own.endpoint, resource) if own.metrics else None
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(min(SWITCH_S, self._switch_s))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._thread.start()

    def add(self, request: TracedRequest) -> None:
        """Take a request. Never waits, never raises."""
        if self._meters is None and not _sampled(request):
            return
        if len(self._waiting) >= self._limit:
            self._dropped += 1
        else:
            self._waiting.append(request)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_S):
            self._send()
        self._send()

    def _send(self) -> None:
        """Send all that waits. Whatever is wrong with it, later requests have their turn."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            sampled = sum(map(_sampled, batch))
            try:
                self._make(batch)
                spans = self._spans.take()
                if not spans:
                    continue
                took = self._exporter.export(spans).name == "SUCCESS"
            except Exception as error:  # spans are made from what clients and servers sent
                log.warning("spans of %d requests could not be made: %s", sampled, escape_control(str(error), 200))
                self._spans.take()
                took = False
            if took:
                self._sent += sampled
            else:
                self._failed += sampled
            if took == self._down:
                self._down = not took
                log.warning("the OpenTelemetry collector %s spans", "takes" if took else "does not take")

    def _make(self, batch: list[TracedRequest]) -> None:
        names = self._names()
        for request in batch:
            if _sampled(request):
                _make_spans(self._spans, request, self._here, names)
            if self._meters is not None:
                for name, value, facts in figures(request, self._here, names):
                    self._meters.instruments[name].record(value, facts)

    def lines(self) -> list[str]:
        """Return what became of the spans, in Prometheus's text format."""
        name = "selfopt_traced_requests_total"
        told = {"sent": self._sent, "failed": self._failed, "dropped": self._dropped}
        head = [f"# HELP {name} Requests whose spans were to be sent to the collector.", f"# TYPE {name} counter"]
        return [*head, *(f'{name}{{outcome="{outcome}"}} {count}' for outcome, count in told.items())]

    async def close(self) -> None:
        """Send what waits, for a few seconds at most. May be called twice."""
        if not self._stop.is_set():
            self._stop.set()
            await asyncio.get_running_loop().run_in_executor(None, self._end)

    def _end(self) -> None:
        self._thread.join(CLOSE_S)
        self._exporter.shutdown()  # ends the pauses between attempts
        self._thread.join(CLOSE_S)
        if self._meters is not None:
            self._meters.close()
        sys.setswitchinterval(self._switch_s)


class _Meters:
    """The histograms of the GenAI conventions, which are sent once a minute."""

    def __init__(self, endpoint: str | None, resource: Any) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        url = f"{endpoint}/v1/metrics" if endpoint else None
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=url, session=bounded_session()))
        self._provider: Any = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("selfopt", __version__)
        self.instruments = {
            name: meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)
            for name, (unit, bounds, text) in INSTRUMENTS.items()
        }

    def close(self) -> None:
        """Send the last figures, for a few seconds at most."""
        self._provider.shutdown(timeout_millis=CLOSE_S * 1000)
