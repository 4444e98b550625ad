"""Temporary files: what is being written before it gets its final name, and what killed writers
left.

In every folder of a home they are named `.<name>.<pid>-<12 hex digits>.tmp`. The writer holds a
lock on the file until it is renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path

import psutil

_NAME = re.compile(r"\..+\.([1-9][0-9]{0,9})-[0-9a-f]{12}\.tmp", re.DOTALL)
_TOLERANCE_S = 2.0


def temporary_name(path: Path) -> Path:
    """Returns an unused name in the folder of the file that it will become."""
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(6).hex()}.tmp")


def is_temporary(name: str) -> bool:
    """Returns whether this is the name of a temporary file."""
    return _NAME.fullmatch(name) is not None


def hold_temporary(descriptor: int) -> None:
    """Lock an open temporary file to show that it is in use.

    Without locks, its process id must show that.
    """
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def clear_temporaries(root: Path) -> int:
    """Remove the files that killed writers left in this folder and below. Returns how many.

    Files that cannot be removed stay.
    """
    cleared = 0
    for folder, _, names in os.walk(root):
        for name in names:
            match = _NAME.fullmatch(name)
            if match is not None and _is_left(Path(folder) / name, int(match[1])):
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(folder, name))
                    cleared += 1
    return cleared


def _is_left(path: Path, pid: int) -> bool:
    """Returns whether the writer is gone: its process has ended, and nobody holds the file's lock.

    The lock matters when the writer runs in another container, where its process id means nothing
    here.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if _runs(pid, os.fstat(descriptor).st_mtime):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks: the process id must do
        return True
    finally:
        os.close(descriptor)


def _runs(pid: int, written_at: float) -> bool:
    """Returns whether the process that wrote the file still runs.

    A younger one with its id does not count.
    """
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written_at + _TOLERANCE_S)
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
