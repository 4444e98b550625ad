"""Counts what all connections hold, and gives freed memory back to the system."""

from __future__ import annotations

import sys
from mmap import PAGESIZE as PAGE_SIZE
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctypes import CDLL


_WORTH_GIVING_BACK = 8_000_000
_M_MMAP_THRESHOLD = -3
_MAPPED_FROM = 1_048_576


class Held:
    """Counts bytes against a limit. peak: the most since memory was last given back."""

    __slots__ = ("limit", "peak", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.peak = 0

    def fits(self, more: int) -> bool:
        """Say whether so many more bytes are within the limit."""
        return self.used + more <= self.limit

    def add(self, more: int) -> None:
        """Count bytes; a negative number for bytes that were freed."""
        self.used += more
        self.peak = max(self.peak, self.used)

    def settle(self, *, left: bool) -> None:
        """Give memory back once a rush is over. Called regularly. left: many connections ended."""
        if (self.peak >= _WORTH_GIVING_BACK and self.used <= self.peak // 4) or (left and not self.used):
            self.peak = self.used
            give_back()


class MemoryTrimmer:
    """Gives memory back once the process has grown, for example by large replies of servers."""

    __slots__ = ("_least", "_pause")

    def __init__(self) -> None:
        self._least = _resident_bytes()
        self._pause = 0

    def settle(self) -> None:
        """Give memory back if it is worth it, at most every fifth call: it takes milliseconds."""
        now = _resident_bytes()
        self._least = min(self._least, now)
        self._pause = max(0, self._pause - 1)
        if now >= self._least + _WORTH_GIVING_BACK and not self._pause:
            self._pause = 5
            give_back()


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE_SIZE
    except OSError:  # only Linux has this file, and only there memory is given back
        return 0


def keep_large_blocks_apart() -> None:
    """Have glibc always map large blocks separately.

    It stops doing so after the first one it frees, and blocks among smaller ones cannot be given
    back.
    """
    library = _libc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)


def give_back() -> None:
    """Give freed memory back to the system. Does nothing without glibc."""
    library = _libc()
    if library is not None:
        library.malloc_trim(0)


def _libc() -> CDLL | None:
    if sys.platform != "linux":
        return None
    from ctypes import CDLL

    library = CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
