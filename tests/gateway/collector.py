"""An OpenTelemetry collector for tests: takes OTLP over HTTP, and decodes it with the official messages."""

from __future__ import annotations

import gzip
import importlib
import pkgutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import opentelemetry.semconv._incubating.attributes as published
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Span:
    """One span as it arrived."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: str
    began: int
    ended: int
    error: bool
    state: str
    facts: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]


@dataclass
class Collector:
    """What arrived.

    Attributes:
        status: what it answers.
        bodies: everything that it was sent, as it came.
    """

    url: str = ""
    status: int = 200
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    points: list[tuple[str, str, dict[str, Any], int, float]] = field(default_factory=list)

    def take(self, path: str, body: bytes) -> None:
        """Decode a request."""
        self.bodies.append(body)
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                self.resources.append(_facts(resource.resource.attributes))
                self.spans += [_span(span) for scope in resource.scope_spans for span in scope.spans]
        else:
            assert path == "/v1/metrics", path
            metrics = ExportMetricsServiceRequest.FromString(body)
            for found in (
                metric for resource in metrics.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
            ):
                for point in found.histogram.data_points:
                    self.points.append((found.name, found.unit, _facts(point.attributes), point.count, point.sum))


def _facts(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)


def _span(span: Any) -> Span:
    kinds = {1: "internal", 2: "server", 3: "client"}
    return Span(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), kinds[span.kind], span.start_time_unix_nano,
        span.end_time_unix_nano, span.status.code == 2, span.trace_state, _facts(span.attributes),
        [(event.name, _facts(event.attributes)) for event in span.events],
    )  # fmt: skip


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    """Run a collector on loopback."""
    collector = Collector(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            if collector.status == 200:
                collector.take(self.path, gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def published_names() -> set[str]:
    """The attributes of the published conventions."""
    found: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.iter_modules(published.__path__, f"{published.__name__}."):
            found |= {value for value in vars(importlib.import_module(module.name)).values() if isinstance(value, str)}
        stable = importlib.import_module("opentelemetry.semconv.attributes")
        for module in pkgutil.iter_modules(stable.__path__, f"{stable.__name__}."):
            found |= {value for value in vars(importlib.import_module(module.name)).values() if isinstance(value, str)}
    return found
