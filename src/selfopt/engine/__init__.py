"""The embedded local engine: a catalogue of models, a store that pulls and verifies them, and a llama.cpp child for each."""

from .catalogue import ModelEntry, load_catalogue
from .embedded import EmbeddedEngine, EngineAddress, EngineOptions
from .store import ModelStore

__all__ = ["EmbeddedEngine", "EngineAddress", "EngineOptions", "ModelEntry", "ModelStore", "load_catalogue"]
