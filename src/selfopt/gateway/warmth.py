"""Loads the models whose rules require warm-up, and keeps them loaded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from selfopt.home import escape_control
from selfopt.records import RoutingConfig

log = logging.getLogger("selfopt.gateway")


@dataclass(frozen=True, slots=True)
class Warmed:
    """What became of warming up a model.

    Attributes:
        load_ms: how long the load took; None if the model was loaded already.
        problem: why it could not be loaded; empty if it is.
    """

    load_ms: float | None = None
    problem: str = ""


Warmer = Callable[[str], Awaitable[Warmed]]
"""Loads a model, by its full name, or keeps it loaded. Never raises for what a server does."""


class KeepWarm:
    """Warms up the models of the rules: at the start, when the rules change, and regularly."""

    def __init__(self, warm: Warmer, every_s: float) -> None:
        """Begin.

        Args:
            warm: loads a model.
            every_s: pause in seconds between two rounds. Servers must not drop an idle model
                sooner; one that was dropped is loaded again in the next round.
        """
        self._warm = warm
        self._every_s = every_s
        self._wanted: tuple[str, ...] = ()
        self._seen: set[str] = set()
        self._failing: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether every model was dealt with once, successfully or not."""
        return self._seen.issuperset(self._wanted)

    def start(self, config: RoutingConfig) -> None:
        """Begin with these rules."""
        self.follow(config)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def follow(self, config: RoutingConfig) -> None:
        """Follow these rules from now on."""
        self._wanted = tuple(dict.fromkeys(r.model for r in config.rules if r.warm_up and r.allow))
        self._seen.intersection_update(self._wanted)
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await self._turn(self._wanted)
            try:
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _turn(self, models: Collection[str]) -> None:
        # In turn: two loads at once are slower, and may not fit into memory.
        for model in models:
            warmed = await self._warm(model)
            self._tell(model, warmed)
            (self._failing.add if warmed.problem else self._failing.discard)(model)
            self._seen.add(model)

    def _tell(self, model: str, warmed: Warmed) -> None:
        """Log a new failure and every load."""
        name, loaded = escape_control(model, 200), warmed.load_ms is not None
        if warmed.problem:
            if model not in self._failing:
                log.warning("%s could not be made ready: %s", name, escape_control(warmed.problem, 500))
        elif model in self._seen and loaded:
            log.info("%s had been dropped and is loaded again (%.0f ms)", name, warmed.load_ms)
        elif model not in self._seen:
            log.info("%s is ready (%s)", name, f"loaded in {warmed.load_ms:.0f} ms" if loaded else "it was loaded")

    async def close(self) -> None:
        """Stop. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
