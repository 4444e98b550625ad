"""Files that are being written before they get their name, and what is left of them when their writer was killed.

One rule for every folder of a home: `.<name>.<pid>-<12 hex digits>.tmp`, locked by its writer until it has its name.
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
    """A name that nobody has, beside the file that it becomes."""
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(6).hex()}.tmp")


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one that is being written, or was."""
    return _NAME.fullmatch(name) is not None


def hold_temporary(descriptor: int) -> None:
    """Show that it is being written, for as long as it is open. Where there are no locks, the process id has to do."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def clear_temporaries(root: Path) -> int:
    """Remove what killed writers left in this folder and those in it; returns how many files. What cannot be removed stays."""
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
    """Whether the writer is gone: neither its process runs, nor does anybody hold the file's lock (a process of another
    container, say, whose id means nothing here)."""
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
    except OSError:  # no locks here: the process id has to do
        return True
    finally:
        os.close(descriptor)


def _runs(pid: int, written_at: float) -> bool:
    """Whether the process that wrote the file then still runs. A younger process of that id is another one."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= written_at + _TOLERANCE_S)
    except psutil.AccessDenied:
        return True
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
