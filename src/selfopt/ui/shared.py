"""What all readers see is made once: a page that fifty people watch costs as much as for one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from selfopt.errors import SelfoptError

log = logging.getLogger("selfopt.ui")
MOST = 256
T = TypeVar("T")


@dataclass(slots=True)
class _Kept:
    made_at: float
    value: Any = None
    making: asyncio.Future[Any] | None = None


class Shared:
    """Keeps what was made for some seconds. Whoever asks meanwhile waits for the one that is being made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    async def get(self, key: Hashable, ttl_s: float, make: Callable[[], Awaitable[T]]) -> T:
        """Return a value that is at most so old. Raises what `make` raises, which is not kept."""
        kept = self._find(key)
        if kept.making is None and (kept.value is None or self._clock() - kept.made_at > ttl_s):
            kept.making = asyncio.ensure_future(self._make(key, kept, make))
        if kept.making is not None:
            return cast("T", await asyncio.shield(kept.making))
        return cast("T", kept.value)

    def latest(self, key: Hashable, ttl_s: float, make: Callable[[], Awaitable[T]]) -> T | None:
        """Return the last value without waiting, and have a new one made if it is older; None before the first."""
        kept = self._find(key)
        if kept.making is None and (kept.value is None or self._clock() - kept.made_at > ttl_s):
            kept.making = asyncio.ensure_future(self._make(key, kept, make))
            kept.making.add_done_callback(_told)
        return cast("T | None", kept.value)

    async def close(self) -> None:
        """End what is being made."""
        making = [kept.making for kept in self._kept.values() if kept.making is not None]
        for each in making:
            each.cancel()
        if making:
            await asyncio.wait(making)

    def _find(self, key: Hashable) -> _Kept:
        kept = self._kept.setdefault(key, _Kept(0.0))
        self._kept.move_to_end(key)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return kept

    async def _make(self, key: Hashable, kept: _Kept, make: Callable[[], Awaitable[T]]) -> T:
        try:
            kept.value = value = await make()
            return value
        except BaseException:
            self._kept.pop(key, None)
            raise
        finally:
            kept.made_at, kept.making = self._clock(), None


def _told(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and isinstance(error := done.exception(), SelfoptError):
        log.info("not known now: %s", error)
