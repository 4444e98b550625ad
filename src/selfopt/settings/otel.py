"""The settings of traces and of what is sent to an OpenTelemetry collector."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from .endpoint import Table


class OtelSettings(Table):
    """OpenTelemetry. Needs the extra `otel`.

    Attributes:
        enabled: Send a span of each live request and of its attempts to a collector. No content is sent.
        endpoint: The collector's base URL for OTLP over HTTP, such as http://127.0.0.1:4318. Without one,
            the variables of OpenTelemetry count (OTEL_EXPORTER_OTLP_ENDPOINT), else http://localhost:4318.
        metrics: Send the metrics of the GenAI conventions as well.
        sample: Share of the traces that begin at the gateway which are sent. Clients decide on theirs.
        queue: Requests that may wait to be sent; further ones are dropped and counted.
        upstream: Which model servers are told the trace that a request belongs to (traceparent): those
            on this machine (local), all of them (all), or none (off). Counts without `enabled` too.
    """

    enabled: bool = False
    endpoint: str | None = None
    metrics: bool = True
    sample: float = Field(default=1.0, ge=0, le=1)
    queue: int = Field(default=4096, ge=1, le=1_000_000)
    upstream: Literal["local", "all", "off"] = "local"

    @field_validator("endpoint")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
            parts = urlsplit("")
        if not usable or parts.query or parts.fragment or parts.username is not None:
            raise ValueError(
                f"{value!r} is not the base URL of a collector: write http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:4318; "
                "keys go into OTEL_EXPORTER_OTLP_HEADERS"
            )
        return value.rstrip("/")
