"""Sends spans and metrics of live requests to an OpenTelemetry collector, from a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from selfopt import __version__
from selfopt.errors import SettingsError
from selfopt.gateway import SpanSink, TracedRequest, this_writer
from selfopt.home import escape_control
from selfopt.records.trace import TraceContext
from selfopt.settings.otel import OtelSettings

from .otel_facts import INSTRUMENTS, Here, NamedModels, attempt_facts, error_of, figures, request_facts

log = logging.getLogger("selfopt.gateway")
PAUSE_S = 0.5
BATCH = 256
CLOSE_S = 3.0


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
    if not own.enabled or environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if any(not _installed(name) for name in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")):
        raise SettingsError(
            "otel.enabled wants OpenTelemetry, which is not installed: pip install 'selfopt[otel]', or set otel.enabled = false"
        )
    return _Exporting(own, here, names)


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


class _Spans:
    """Makes spans with the ids that the requests were given, through the SDK."""

    def __init__(self, resource: Any) -> None:
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.id_generator import IdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        ended: list[Any] = []
        next_ids = self._next = [0, 0]

        class Given(IdGenerator):  # type: ignore[misc]  # the package may not be installed
            def generate_trace_id(self) -> int:
                return next_ids[0]

            def generate_span_id(self) -> int:
                return next_ids[1]

        class Kept(SpanProcessor):  # type: ignore[misc]
            def on_end(self, span: Any) -> None:
                ended.append(span)

        self._ended = ended
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=Given(), shutdown_on_exit=False)
        provider.add_span_processor(Kept())
        self._tracer = provider.get_tracer("selfopt", __version__)

    def take(self) -> list[Any]:
        """Return the spans that were made."""
        spans = self._ended[:]
        self._ended.clear()
        return spans

    def add(self, request: TracedRequest, here: Here, names: NamedModels) -> None:
        """Make the spans of one request."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        own, came, operation = request.trace.own, request.trace.came, request.trace.operation
        assert own is not None

        def at(seconds: float) -> int:
            return request.ended_ns - round((request.ended - seconds) * 1e9)

        record = request.record
        name = f"{operation} {names.label(record.model)}"
        facts = request_facts(request, here)
        self._next[:] = int(own.trace_id, 16), int(own.span_id, 16)
        began = at(request.ticket.began)
        span = self._tracer.start_span(name, _parent(came), SpanKind.SERVER, facts, start_time=began)
        if record.status >= 500 or error_of(request) == "broken_off":
            span.set_status(Status(StatusCode.ERROR))
        span.end(request.ended_ns)
        for each in request.trace.attempts:
            self._next[1] = int(each.span_id, 16)
            facts = attempt_facts(each, operation)
            name = f"{operation} {names.label(each.upstream.model)}"
            span = self._tracer.start_span(name, _parent(own), SpanKind.CLIENT, facts, start_time=at(each.began))
            if "error.type" in facts:
                span.set_status(Status(StatusCode.ERROR))
            span.end(at(each.ended))


def _parent(trace: TraceContext | None) -> Any:
    """Return the context of a span's parent; an empty one for none."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    if trace is None:
        return Context()
    state = TraceState.from_header([trace.state] if trace.state else [])
    ids = int(trace.trace_id, 16), int(trace.span_id, 16)
    parent = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(trace.flags), trace_state=state)
    return set_span_in_context(NonRecordingSpan(parent), Context())


class _Exporting:
    """The `SpanSink` of a collector."""

    def __init__(self, own: OtelSettings, here: Here, names: Callable[[], NamedModels]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # this file says what goes wrong
        self._limit, self._here, self._names = own.queue, here, names
        self._waiting: deque[TracedRequest] = deque()
        self._sent = self._dropped = self._failed = 0
        self._down = False
        resource = _resource()
        self._spans = _Spans(resource)
        self._exporter: Any = OTLPSpanExporter(endpoint=f"{own.endpoint}/v1/traces" if own.endpoint else None)
        self._meters = _Meters(own.endpoint, resource) if own.metrics else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._thread.start()

    def add(self, request: TracedRequest) -> None:
        """Take a request. Never waits, never raises."""
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
            try:
                self._make(batch)
                took = self._exporter.export(self._spans.take()).name == "SUCCESS"
            except Exception as error:  # spans are made from what clients and servers sent
                log.warning("spans of %d requests could not be made: %s", len(batch), escape_control(str(error), 200))
                self._spans.take()
                took = False
            if took:
                self._sent += len(batch)
            else:
                self._failed += len(batch)
            if took == self._down:
                self._down = not took
                log.warning("the OpenTelemetry collector %s spans", "takes" if took else "does not take")

    def _make(self, batch: list[TracedRequest]) -> None:
        names = self._names()
        for request in batch:
            self._spans.add(request, self._here, names)
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


class _Meters:
    """The histograms of the GenAI conventions, which are sent once a minute."""

    def __init__(self, endpoint: str | None, resource: Any) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics" if endpoint else None))
        self._provider: Any = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("selfopt", __version__)
        self.instruments = {
            name: meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=bounds)
            for name, (unit, bounds, text) in INSTRUMENTS.items()
        }

    def close(self) -> None:
        """Send the last figures, for a few seconds at most."""
        self._provider.shutdown(timeout_millis=CLOSE_S * 1000)


def _resource() -> Any:
    from opentelemetry.sdk.resources import Resource

    found = Resource.create({"service.version": __version__, "service.instance.id": this_writer()})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "selfopt"}))
    return found
