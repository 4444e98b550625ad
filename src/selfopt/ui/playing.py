"""Answers of the playground that are under way: few at once, each for one reader, none for longer than somebody waits for it.

What was asked and answered is private: it stands in this memory until it was shown, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from selfopt.errors import SelfoptError

if TYPE_CHECKING:
    from selfopt.verbs.playing import Played

log = logging.getLogger("selfopt.ui")
AT_ONCE = 8
EACH = 4
LONGEST_S = 300.0
LEFT_S = 15.0


class TooMany(Exception):
    """So many answers are under way that no more begins."""


@dataclass(slots=True)
class _Asked:
    owner: str
    task: asyncio.Task[Played | str]
    seen: float
    waiting: int = 0


class Playing:
    """Begins, hands out and ends answers.

    Args:
        longest_s: an answer that takes longer is given up.
        left_s: one that nobody asked for so long is ended, and forgotten.
    """

    def __init__(
        self, *, longest_s: float = LONGEST_S, left_s: float = LEFT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._longest_s = longest_s
        self._left_s = left_s
        self._clock = clock
        self._asked: dict[str, _Asked] = {}

    def begin(self, owner: str, make: Callable[[], Awaitable[Played]]) -> str:
        """Begin an answer for a session; return its id. One that nobody has fetched yet counts as under way. Raises TooMany."""
        self.forget_left()
        if len(self._asked) >= AT_ONCE or sum(one.owner == owner for one in self._asked.values()) >= EACH:
            raise TooMany
        loop = asyncio.get_running_loop()
        name = secrets.token_urlsafe(16)
        self._asked[name] = _Asked(owner, loop.create_task(self._answered(make)), self._clock())
        loop.call_later(self._left_s, self.forget_left)
        return name

    async def wait(self, owner: str, name: str, wait_s: float) -> Played | str | None:
        """Return an answer, or why there is none; None while it is under way. It is handed out once.

        Raises:
            KeyError: this session has no such answer.
        """
        asked = self._find(owner, name)
        asked.waiting += 1
        try:
            await asyncio.wait([asked.task], timeout=wait_s)
        finally:
            asked.waiting -= 1
            asked.seen = self._clock()
        if not asked.task.done():
            asyncio.get_running_loop().call_later(self._left_s, self.forget_left)
            return None
        self._asked.pop(name, None)
        if asked.task.cancelled():
            raise KeyError(name)
        return asked.task.result()

    def stop(self, owner: str, name: str) -> None:
        """End an answer, if this session has it."""
        with suppress(KeyError):
            self._find(owner, name).task.cancel()
            del self._asked[name]

    def forget_left(self) -> None:
        """End and forget what nobody waits for any more."""
        now = self._clock()
        left = [name for name, one in self._asked.items() if not one.waiting and now - one.seen >= self._left_s]
        for name in left:
            self._asked.pop(name).task.cancel()

    async def close(self) -> None:
        """End everything."""
        tasks = [one.task for one in self._asked.values()]
        self._asked.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _find(self, owner: str, name: str) -> _Asked:
        asked = self._asked[name]
        if not secrets.compare_digest(asked.owner, owner):
            raise KeyError(name)
        return asked

    async def _answered(self, make: Callable[[], Awaitable[Played]]) -> Played | str:
        try:
            async with asyncio.timeout(self._longest_s):
                return await make()
        except TimeoutError:
            return f"no whole answer came within {self._longest_s:.0f} seconds; ask for less, or ask a faster model"
        except SelfoptError as error:
            return str(error)
        except Exception as error:
            log.error("the playground failed with %s", type(error).__name__)  # the rest may hold what was asked
            return "this is a bug in selfopt; `selfopt try` may say more"
