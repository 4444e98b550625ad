"""Shares the loop among all who have much to do in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

TURNS_S = 0.004
TURNS = 64
PROMPT = 4096
"""A larger piece may have to wait its turn, so that /health never waits for megabytes."""


class Turns:
    """Does work in order, for a few milliseconds in each turn of the loop.

    libuv reads a socket up to 32 times in a turn, and all sockets in the same one. Whoever read all
    of it at once would hold the loop for as long as that takes.
    """

    __slots__ = ("_loop", "_taken", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._taken = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def first(self) -> bool:
        """Say whether nobody did anything in this turn of the loop, so that the caller may now."""
        if self._taken:
            return False
        self._take()
        return True

    def later(self, work: Callable[[], None]) -> None:
        """Do the work in a later turn of the loop, after all that waits already."""
        self._waiting.append(work)
        if not self._taken:
            self._take()

    def _take(self) -> None:
        self._taken = True
        self._loop.call_soon(self._next)

    def _next(self) -> None:
        until = perf_counter() + TURNS_S
        try:
            for _ in range(min(TURNS, len(self._waiting))):
                self._waiting.popleft()()
                if perf_counter() >= until:
                    break
        finally:  # one that fails stops nobody else
            self._taken = False
            if self._waiting:
                self._take()
