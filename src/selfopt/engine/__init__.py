"""The embedded local engine: a catalogue of models, a store that pulls and verifies them, and a llama.cpp child for each."""

from .catalogue import ModelEntry, load_catalogue
from .embedded import EmbeddedEngine, EngineAddress, EngineOptions
from .meter import PullProgress, PullStage
from .store import InstalledModel, ModelStore

__all__ = [
    "EmbeddedEngine",
    "EngineAddress",
    "EngineOptions",
    "InstalledModel",
    "ModelEntry",
    "ModelStore",
    "PullProgress",
    "PullStage",
    "load_catalogue",
]
