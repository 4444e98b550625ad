"""A lock file that names its owner: one process at a time.

Two things keep the lock, and a new owner needs both to be free. One is the kernel's advisory lock
on the file: the kernel releases it when the owner dies, and a changed clock cannot mislead it. The
other is the owner's process id and start time in the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from selfopt.errors import LockedError, StoreError
from selfopt.records import utc_now

from .files import open_private, reason_of, write_all
from .text import escape_control

# psutil derives the start time from the boot time, which differs by up to a tick or a clock correction between readers.
_START_TOLERANCE_S = 2.0
_MAX_OWNER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LockOwner:
    """The process that holds a lock."""

    pid: int
    process_start_time: float  # seconds since the epoch
    purpose: str
    at: str  # when the lock was taken, RFC 3339

    @property
    def alive(self) -> bool:
        """Whether this process still runs. A reused process id has another start time."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.process_start_time) <= _START_TOLERANCE_S
        except psutil.AccessDenied:
            return True  # some process has this id, and we may not ask more: keep the lock
        except (psutil.NoSuchProcess, ValueError, OverflowError):
            return False

    def __str__(self) -> str:
        return f'process {self.pid} ("{escape_control(self.purpose, 80)}", since {escape_control(self.at, 40)})'


class ProcessLock:
    """A lock file that holds its `LockOwner` as JSON.

    Not re-entrant. A forked child does not hold it.
    """

    def __init__(self, path: Path, *, clock: Callable[[], str] = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._descriptor: int | None = None

    @contextlib.contextmanager
    def __call__(self, purpose: str) -> Iterator[ProcessLock]:
        """Hold the lock while the block runs: `with ProcessLock(path)("supervise"): ...`. Raises
        like `acquire`.
        """
        self.acquire(purpose)
        try:
            yield self
        finally:
            self.release()

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def owner(self) -> LockOwner | None:
        """Returns the owner if its process still runs, else None. Does not touch the lock."""
        try:
            with open(self._path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                owner = _read_owner(file.fileno())
        except OSError:
            return None
        return owner if owner is not None and owner.alive else None

    def acquire(self, purpose: str) -> None:
        """Take the lock. Replaces a stale one, whose process has died.

        Raises LockedError, which names the owner, and StoreError when the file cannot be written.
        """
        if self._descriptor is not None:
            raise LockedError(f"{self._path} is held already by this process; release it first")
        try:
            while self._descriptor is None:
                self._descriptor = self._try_claim(purpose)
        except OSError as error:
            raise StoreError(f"could not write the lock {self._path}: {reason_of(error)}") from error
        _held.add(self)

    def _try_claim(self, purpose: str) -> int | None:
        """Returns the descriptor that holds the lock; None when the file was replaced meanwhile."""
        descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._locked(_read_owner(descriptor)) from None
            if not _is_same_file(descriptor, self._path):
                os.close(descriptor)
                return None
            owner = _read_owner(descriptor)
            if owner is not None and owner.alive:
                raise self._locked(owner)
            self._write_owner(descriptor, purpose)
        except (OSError, LockedError):
            os.close(descriptor)
            raise
        return descriptor

    def _write_owner(self, descriptor: int, purpose: str) -> None:
        body = {
            "pid": os.getpid(),
            "process_start_time": psutil.Process().create_time(),
            "purpose": purpose[:200],
            "at": self._clock(),
        }
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        write_all(descriptor, (json.dumps(body) + "\n").encode())
        os.fsync(descriptor)

    def _locked(self, owner: LockOwner | None) -> LockedError:
        if owner is None:
            return LockedError(f"{self._path} is held by another process that is just starting; wait for it or end it")
        return LockedError(f"{self._path} is held by {owner}; wait for it to end, or end it")

    def release(self) -> None:
        """Give the lock back. Does nothing when it is not held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        _held.discard(self)
        with contextlib.suppress(OSError):
            if _is_same_file(descriptor, self._path):
                self._path.unlink(missing_ok=True)
        os.close(descriptor)

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _read_owner(descriptor: int) -> LockOwner | None:
    data = os.pread(descriptor, _MAX_OWNER_BYTES, 0)
    try:
        body = json.loads(data)
        return LockOwner(
            pid=int(body["pid"]),
            process_start_time=float(body["process_start_time"]),
            purpose=str(body.get("purpose", "")),
            at=str(body.get("at", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


# A forked child shares the kernel's lock. It must let go of it, or the lock would outlive its owner.
_held: weakref.WeakSet[ProcessLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    for lock in list(_held):
        lock._forget()
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
