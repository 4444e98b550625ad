"""Speaking to a model, one adapter a file; and a scripted endpoint to practise on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfopt.lazy import at_first_use

if TYPE_CHECKING:
    from selfopt.records import is_loopback

    from .always_resident import AlwaysResident
    from .anthropic import AnthropicEndpoint
    from .base_url import normalise_base_url
    from .factory import create_endpoint, create_residency
    from .ollama import OllamaEndpoint
    from .ollama_residency import OllamaResidency
    from .openai_compatible import OpenAICompatibleEndpoint
    from .openai_dialect import OpenAIDialect
    from .openai_residency import OpenAICompatibleResidency
    from .scripted import ScriptedEndpoint, ScriptedResidency, engine_for
    from .scripted_engine import JournalEntry, ManualClock, RealClock, ScriptEngine
    from .scripted_script import (
        Script,
        ScriptedCall,
        ScriptedFault,
        ScriptedMatch,
        ScriptedModel,
        ScriptedReply,
        ScriptedRule,
        load_script,
    )
    from .scripted_server import ScriptedServer, serve_scripted

__all__ = [
    "AlwaysResident",
    "AnthropicEndpoint",
    "JournalEntry",
    "ManualClock",
    "OllamaEndpoint",
    "OllamaResidency",
    "OpenAICompatibleEndpoint",
    "OpenAICompatibleResidency",
    "OpenAIDialect",
    "RealClock",
    "Script",
    "ScriptEngine",
    "ScriptedCall",
    "ScriptedEndpoint",
    "ScriptedFault",
    "ScriptedMatch",
    "ScriptedModel",
    "ScriptedReply",
    "ScriptedResidency",
    "ScriptedRule",
    "ScriptedServer",
    "create_endpoint",
    "create_residency",
    "engine_for",
    "is_loopback",
    "load_script",
    "normalise_base_url",
    "serve_scripted",
]

# Adapters take long to import (aiohttp, YAML), and a gateway that passes chats on needs none of them to be ready.
__getattr__ = at_first_use(
    __name__,
    {
        "selfopt.records": "is_loopback",
        ".always_resident": "AlwaysResident",
        ".anthropic": "AnthropicEndpoint",
        ".factory": "create_endpoint create_residency",
        ".base_url": "normalise_base_url",
        ".ollama": "OllamaEndpoint",
        ".ollama_residency": "OllamaResidency",
        ".openai_compatible": "OpenAICompatibleEndpoint",
        ".openai_dialect": "OpenAIDialect",
        ".openai_residency": "OpenAICompatibleResidency",
        ".scripted": "ScriptedEndpoint ScriptedResidency engine_for",
        ".scripted_engine": "JournalEntry ManualClock RealClock ScriptEngine",
        ".scripted_script": "Script ScriptedCall ScriptedFault ScriptedMatch ScriptedModel ScriptedReply ScriptedRule load_script",
        ".scripted_server": "ScriptedServer serve_scripted",
    },
)
