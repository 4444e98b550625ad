"""From a configuration to the adapter of its kind."""

from __future__ import annotations

from selfopt.errors import SettingsError
from selfopt.records import Endpoint, EndpointConfig, Residency
from selfopt.scripted.endpoint import ScriptedEndpoint, ScriptedResidency

from .always_resident import AlwaysResident
from .anthropic import AnthropicEndpoint
from .http import is_loopback
from .ollama import OllamaEndpoint
from .ollama_residency import OllamaResidency
from .openai_compatible import OpenAICompatibleEndpoint, api_root
from .openai_residency import OpenAICompatibleResidency

__all__ = ["create_endpoint", "create_residency"]


def create_endpoint(config: EndpointConfig) -> Endpoint:
    """The endpoint of this configuration. A scripted one with a base_url is spoken to as OpenAI-compatible. SettingsError
    when the configuration is incomplete, or `embedded`, which the app builds."""
    if config.kind == "ollama":
        return OllamaEndpoint(config)
    if config.kind == "anthropic":
        return AnthropicEndpoint(config)
    if config.kind == "scripted" and config.base_url is None:
        return ScriptedEndpoint(config)
    if config.kind == "embedded":
        raise SettingsError(f"endpoint {config.name}: kind embedded has no server to connect to; the engine package starts it")
    return OpenAICompatibleEndpoint(config)


def create_residency(config: EndpointConfig) -> Residency:
    """The residency of this configuration; models of remote endpoints count as always there. SettingsError as above."""
    if config.kind == "ollama":
        return OllamaResidency(config)
    if config.kind == "anthropic":
        return AlwaysResident("anthropic")
    if config.kind == "scripted" and config.base_url is None:
        return ScriptedResidency(config)
    if config.kind == "embedded":
        raise SettingsError(f"endpoint {config.name}: kind embedded has no server to connect to; the engine package starts it")
    if config.kind == "openai_compatible" and config.base_url and not (config.local or is_loopback(api_root(config.base_url))):
        return AlwaysResident()
    return OpenAICompatibleResidency(config)
