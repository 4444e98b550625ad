"""Values that the settings hand to the parts: endpoints and policy thresholds."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from .base import Record
from .suite import Phase


def is_loopback(url: str) -> bool:
    """Returns whether requests to a URL stay on this machine. The scheme may be missing.

    0.0.0.0 and :: count: connecting to them reaches this machine. A name other than localhost may
    lead anywhere.
    """
    try:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname or ""
        return host == "localhost" or (address := ipaddress.ip_address(host)).is_loopback or address.is_unspecified
    except ValueError:
        return False


ServerKind = Literal["llama.cpp", "vllm", "sglang", "other"]
"""Which program answers at an OpenAI-compatible endpoint, as far as requests depend on it."""


class EndpointConfig(Record):
    """One endpoint.

    Attributes:
        server: the program that answers; None: learnt from the server where that matters.
        omit: fields that its requests are sent without, with dots for inner ones.
        extra_body: fields that all its requests get.
    """

    name: str  # also the provider part of its models' names
    kind: str  # one of `ENDPOINT_KINDS`
    base_url: str | None = None  # without a trailing slash
    api_key: SecretStr | None = Field(default=None, exclude=True)
    local: bool = False  # requests do not leave this machine
    script: str | None = None  # YAML file of a scripted endpoint, which then runs in process without a base_url
    max_reply_bytes: int = Field(default=4_000_000, ge=1_000, le=100_000_000)
    max_connections: int = Field(default=16, ge=1, le=1024)
    server: ServerKind | None = None
    omit: tuple[str, ...] = ()
    extra_body: dict[str, Any] = Field(default_factory=dict)


class PolicyThresholds(Record):
    """Thresholds of the plain gates and of the recommendations. Shares are in [0, 1]."""

    min_runs: int = Field(default=3, ge=1)
    promote_margin: float = Field(default=0.02, ge=0, le=1)
    restraint_min: float = Field(default=0.80, ge=0, le=1)
    max_variance: float = Field(default=0.0025, ge=0, le=1)
    extended_phase_min_accuracy: float = Field(default=0.30, ge=0, le=1)
    extended_phase_recommended_accuracy: float = Field(default=0.50, ge=0, le=1)
    atomic_phase_min_accuracy: float = Field(default=0.80, ge=0, le=1)
    extended_gate_enabled: bool = True
    unmeasured: Literal["allow", "refuse"] = "allow"

    def minimum_of(self, phase: Phase) -> float:
        """Returns the accuracy, and call accuracy, below which a model may not serve this phase."""
        return self.extended_phase_min_accuracy if phase == "extended" else self.atomic_phase_min_accuracy
