"""Where tests write: in memory, where no test waits for a disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 1024**3


def memory_for_tests(folder: Path = MEMORY, room_bytes: int = ROOM_BYTES) -> Path | None:
    """A file system in memory that takes what tests write and runs what they start, or None: there may be no such, or too small a one,
    as in a container."""
    if sys.platform != "linux" or not os.access(folder, os.W_OK | os.X_OK):
        return None
    found = os.statvfs(folder)
    small = found.f_bavail * found.f_frsize < room_bytes
    return None if small or found.f_flag & os.ST_NOEXEC else folder
