"""Speaking to a model, one adapter a file; and a scripted endpoint to practise on."""

from .always_resident import AlwaysResident
from .anthropic import AnthropicEndpoint
from .factory import create_endpoint, create_residency
from .http import is_loopback, normalise_base_url
from .ollama import OllamaEndpoint
from .ollama_residency import OllamaResidency
from .openai_compatible import OpenAICompatibleEndpoint
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
