"""A clock for scripted endpoints whose tests take no real time."""

from __future__ import annotations

import asyncio


class ManualClock:
    """A `Clock` that stands still until somebody sleeps on it or calls `advance`."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds since its creation."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Let time pass and give others a turn."""
        self._now += seconds
        await asyncio.sleep(0)
