"""Residency of endpoints whose models are always there as far as anybody can see: cloud endpoints."""

from __future__ import annotations

from selfopt.records import ModelStatus


class AlwaysResident:
    """A `Residency` without a server to ask: nothing is told, loading takes no time, nothing can be unloaded."""

    def __init__(self, engine: str = "unknown") -> None:
        self._engine = engine

    async def status(self, model: str) -> ModelStatus:
        """State "loaded": there is nothing to wait for. What a cloud endpoint hides stays "unknown"."""
        return ModelStatus(state="loaded", engine=self._engine)

    async def load(self, model: str, timeout_s: float) -> float:
        """Nothing to do: 0 ms."""
        return 0.0

    async def unload(self, model: str) -> bool:
        """Not possible."""
        return False
