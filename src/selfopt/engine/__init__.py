"""The embedded local engine: a catalogue of models, a store that pulls and verifies them, and a llama.cpp child for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfopt.lazy import at_first_use

if TYPE_CHECKING:
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

# The engine's HTTP client takes long to import, and a gateway is ready before its first model is started.
__getattr__ = at_first_use(
    __name__,
    {
        ".catalogue": "ModelEntry load_catalogue",
        ".embedded": "EmbeddedEngine EngineAddress EngineOptions",
        ".meter": "PullProgress PullStage",
        ".store": "InstalledModel ModelStore",
    },
)
