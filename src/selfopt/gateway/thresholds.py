"""Looks now and then at what serves the models that have to be sure, so that another one is noticed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from selfopt.home import escape_control
from selfopt.records import RoutingConfig

log = logging.getLogger("selfopt.gateway")
FIRST_LOOK_S = 5.0
"""So long the start waits for the first look. A server that does not answer by then delays nobody any longer."""


class ThresholdWatch:
    """Asks the servers of these models: at the start, when the rules change, and regularly.

    A model that changes behind its name is noticed at the next look.
    """

    def __init__(self, look: Callable[[str], Awaitable[None]], every_s: float) -> None:
        """look: asks what serves a model, by its full name, without loading it; every_s: pause in seconds."""
        self._look = look
        self._every_s = every_s
        self._wanted: tuple[str, ...] = ()
        self._changed = asyncio.Event()
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self, config: RoutingConfig) -> None:
        """Follow the first rules, and wait for the first look, so that another model behind a name serves nothing."""
        self.follow(config)
        if self._task is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LOOK_S):
                    await self._looked.wait()

    def follow(self, config: RoutingConfig) -> None:
        """Follow these rules from now on."""
        self._wanted = tuple(dict.fromkeys(rule.model for rule in config.rules if rule.serve_when is not None))
        self._changed.set()
        if self._wanted and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            await asyncio.gather(*map(self._looked_at, self._wanted))
            self._looked.set()
            try:
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _looked_at(self, model: str) -> None:
        try:
            await self._look(model)
        except Exception as error:  # whatever it is, the others are looked at
            log.warning("what serves %s is not known: %s", escape_control(model, 200), escape_control(str(error), 500))

    async def close(self) -> None:
        """Stop. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
