"""The embedded local engine: a catalogue of models, a store that pulls and verifies them, and a llama.cpp child for each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
_WHERE = {
    ".catalogue": "ModelEntry load_catalogue",
    ".embedded": "EmbeddedEngine EngineAddress EngineOptions",
    ".meter": "PullProgress PullStage",
    ".store": "InstalledModel ModelStore",
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """A public name, its file loaded at the first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = value
    return value
