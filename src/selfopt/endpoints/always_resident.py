"""Residency of endpoints whose models always count as loaded, such as cloud endpoints."""

from __future__ import annotations

from collections.abc import Callable

from selfopt.records import ModelStatus


class AlwaysResident:
    """A `Residency` that asks no server. Loading takes no time, and nothing can be unloaded.

    Args:
        engine: the name of the engine, where it is known.
        logprobs: whether the server gives log probabilities, as far as is known.
        thinks: whether a model can think, by its name.
    """

    def __init__(
        self,
        engine: str = "unknown",
        logprobs: bool | None = None,
        thinks: Callable[[str], bool | None] = lambda _model: None,
    ) -> None:
        self._engine = engine
        self._logprobs = logprobs
        self._thinks = thinks

    async def status(self, model: str) -> ModelStatus:
        """Return the state "loaded". Everything else that the endpoint hides stays "unknown"."""
        return ModelStatus(state="loaded", engine=self._engine, logprobs=self._logprobs, thinking=self._thinks(model))

    async def load(self, model: str, timeout_s: float) -> float:
        """Do nothing, and return 0 milliseconds."""
        return 0.0

    async def unload(self, model: str) -> bool:
        """Return False: the model cannot be unloaded."""
        return False
