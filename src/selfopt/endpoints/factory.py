"""Makes the endpoint and the residency of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from selfopt.dialects.kinds import ENDPOINT_KINDS, EndpointKind
from selfopt.errors import SettingsError
from selfopt.records import Endpoint, EndpointConfig, Residency

from .always_resident import AlwaysResident
from .endpoint import HttpEndpoint
from .ollama_residency import OllamaResidency
from .openai_residency import residency_of

# The residency for servers of a dialect.
_RESIDENCIES: Mapping[str, Callable[[EndpointConfig], Residency]] = {"ollama": OllamaResidency, "openai_chat": residency_of}


def create_endpoint(config: EndpointConfig) -> Endpoint:
    """Make the endpoint of a configuration. Raises SettingsError for an incomplete one."""
    kind = _kind_of(config)
    here = kind.in_process(config) if kind.in_process is not None else None
    return here[0] if here is not None else HttpEndpoint(config, kind.dialect(config))


def create_residency(config: EndpointConfig) -> Residency:
    """Make the residency of a configuration. Raises SettingsError for an incomplete one.

    Models of servers that do not report their state always count as loaded.
    """
    kind = _kind_of(config)
    here = kind.in_process(config) if kind.in_process is not None else None
    if here is not None:
        return here[1]
    make = kind.residency or _RESIDENCIES.get(kind.speaks)
    return make(config) if make is not None else AlwaysResident(config.kind, kind.logprobs, kind.thinks)


def _kind_of(config: EndpointConfig) -> EndpointKind:
    kind = ENDPOINT_KINDS.get(config.kind)
    if kind is None:
        raise SettingsError(
            f"endpoint {config.name}: unknown kind {config.kind!r}; allowed are {', '.join(ENDPOINT_KINDS.names())}"
        )
    if kind.engine:
        raise SettingsError(
            f"endpoint {config.name}: kind {config.kind} has no server to connect to; the engine package starts it"
        )
    return kind
