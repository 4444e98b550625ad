"""Speaking to a model, one adapter a file; and a scripted endpoint to practise on."""

from .http import is_loopback, normalise_base_url
from .openai_compatible import OpenAICompatibleEndpoint
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
    "JournalEntry",
    "ManualClock",
    "OpenAICompatibleEndpoint",
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
    "engine_for",
    "is_loopback",
    "load_script",
    "normalise_base_url",
    "serve_scripted",
]
