"""Tells all workers that an endpoint is left alone, in memory that forked workers share."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from hashlib import blake2b

_PLACES = 4096


class SharedBreaks:
    """For each endpoint, until when none of the workers asks it.

    Processes that are forked after this was made share it. Two endpoints whose place is the same take
    it from each other: then each worker finds out by itself, as it would without this.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: seconds, the same for all processes."""
        self._clock = clock
        self._marks = memoryview(mmap.mmap(-1, _PLACES * 8)).cast("Q")
        self._ends = memoryview(mmap.mmap(-1, _PLACES * 8)).cast("d")

    def of(self, name: str) -> SharedBreak:
        """Return the break of an endpoint."""
        return SharedBreak(self._marks, self._ends, name, self._clock)


class SharedBreak:
    """The break of one endpoint."""

    __slots__ = ("_clock", "_ends", "_mark", "_marks", "_place")

    def __init__(self, marks: memoryview[int], ends: memoryview[float], name: str, clock: Callable[[], float]) -> None:
        self._marks, self._ends, self._clock = marks, ends, clock
        digest = blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
        self._place = int.from_bytes(digest[8:], "little") % _PLACES
        self._mark = int.from_bytes(digest[:8], "little") or 1

    @property
    def left_s(self) -> float:
        """How long nobody asks the endpoint; 0 where no worker said so."""
        if self._marks[self._place] != self._mark:
            return 0.0
        return max(0.0, self._ends[self._place] - self._clock())

    def begin(self, seconds: float) -> None:
        """Let nobody ask the endpoint for so long."""
        self._ends[self._place] = self._clock() + seconds
        self._marks[self._place] = self._mark

    def end(self) -> None:
        """Let everybody ask it again."""
        if self._marks[self._place] == self._mark:
            self._ends[self._place] = 0.0
