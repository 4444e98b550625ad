"""What all connections together hold, and giving it back."""

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
        """Whether so much more is within the limit."""
        return self.used + more <= self.limit

    def add(self, more: int) -> None:
        """Count it; a negative number for what was let go."""
        self.used += more
        self.peak = max(self.peak, self.used)

    def settle(self, *, left: bool) -> None:
        """Hand back to the system what a rush left behind, once it is over. left: many connections ended besides. Called every now and then."""
        if (self.peak >= _WORTH_GIVING_BACK and self.used <= self.peak // 4) or (left and not self.used):
            self.peak = self.used
            give_back()


class MemoryTrimmer:
    """Gives memory back once the process has grown, whatever for: large replies of servers are counted nowhere else."""

    __slots__ = ("_least", "_pause")

    def __init__(self) -> None:
        self._least = _resident_bytes()
        self._pause = 0

    def settle(self) -> None:
        """Called every now and then; only every fifth time something is tried, since it takes milliseconds where much is in use."""
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
    except OSError:  # elsewhere than on Linux nothing is given back either
        return 0


def keep_large_blocks_apart() -> None:
    """Have the C library map large blocks by themselves, always: it stops that after the first one it freed, and what lies among
    smaller ones cannot be given back. Elsewhere than on glibc nothing is done."""
    library = _libc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)


def give_back() -> None:
    """Hand freed memory back to the system."""
    library = _libc()
    if library is not None:
        library.malloc_trim(0)


def _libc() -> CDLL | None:
    if sys.platform != "linux":
        return None
    from ctypes import CDLL

    library = CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None
