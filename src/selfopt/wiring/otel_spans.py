"""Makes spans whose ids are known before, through the SDK of OpenTelemetry, which is imported here alone with its exporters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from selfopt import __version__
from selfopt.errors import SettingsError
from selfopt.gateway import this_writer
from selfopt.home.extras import extra_needed
from selfopt.records.trace import TraceContext
from selfopt.settings.otel import OtelSettings

from .otel_facts import Facts

MOST_ANSWERED = 4096
"""So many bytes of a collector's answer are read. What collectors say is shorter, and zipped it may be a thousand times as long."""


def wanted(own: OtelSettings, environ: Mapping[str, str]) -> bool:
    """Say whether the settings want spans, and OpenTelemetry's own variable does not switch them off."""
    return own.enabled and environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def require_otel() -> None:
    """Raise SettingsError if the extra is not installed."""
    if any(not _installed(name) for name in ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")):
        raise SettingsError(f"otel.enabled needs {extra_needed('otel')}; or set otel.enabled = false")


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@dataclass(frozen=True, slots=True)
class MadeSpan:
    """A span that is over.

    Attributes:
        kind: `internal` for what is no request.
        own: its ids.
        parent: the span that it is below; None for the first of a trace.
        times: nanoseconds of the epoch at which it began and ended.
        events: names and attributes, at its end.
    """

    name: str
    kind: Literal["server", "client", "internal"]
    own: TraceContext
    parent: TraceContext | None
    times: tuple[int, int]
    facts: Facts
    failed: bool = False
    events: tuple[tuple[str, Facts], ...] = ()


class SpanMaker:
    """Makes spans. Use it in one thread."""

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

    def add(self, made: MadeSpan) -> None:
        """Make one."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        self._next[:] = int(made.own.trace_id, 16), int(made.own.span_id, 16)
        kind = SpanKind[made.kind.upper()]
        span = self._tracer.start_span(made.name, _parent(made.parent), kind, made.facts, start_time=made.times[0])
        for name, facts in made.events:
            span.add_event(name, facts, made.times[1])
        if made.failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(made.times[1])


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


def span_exporter(own: OtelSettings, timeout_s: float | None = None) -> Any:
    """Return what sends spans. timeout_s: None for that of OpenTelemetry's variables."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # who uses it says what goes wrong
    return OTLPSpanExporter(
        endpoint=f"{own.endpoint}/v1/traces" if own.endpoint else None, timeout=timeout_s, session=bounded_session()
    )


def bounded_session() -> Any:
    """What asks a collector, and drops an answer that is long, or of unknown length: it would be kept in memory whole."""
    import requests
    from requests.adapters import HTTPAdapter

    class Bounded(HTTPAdapter):
        def send(self, request: Any, stream: Any = False, *args: Any, **more: Any) -> Any:
            answer: Any = super().send(request, True, *args, **more)
            length = answer.headers.get("Content-Length", "")
            if not (length.isdecimal() and len(length) < 5 and int(length) <= MOST_ANSWERED):
                answer.close()  # first: of an answer that counts as read, the connection would be kept
                answer._content, answer._content_consumed = b"", True
            return answer

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, Bounded())
    return session


def resource_here() -> Any:
    """Return what says who sends: this process, under the name that OpenTelemetry's variables give."""
    from opentelemetry.sdk.resources import Resource

    found = Resource.create({"service.version": __version__, "service.instance.id": this_writer()})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "selfopt"}))
    return found
