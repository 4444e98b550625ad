"""Writes the files of live requests. A write is on disk when it returns, or changed nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from selfopt.errors import AuditError, StoreError
from selfopt.home import GENESIS_HASH, Seal, SegmentReport, segment_name, verify_segment
from selfopt.home.files import flock_wait, fsync_directory, open_private, reason_of, write_all
from selfopt.home.head import Head, HeadFile

_SEALED = 0o400


class SegmentFiles:
    """The files of one writer, of which one is open. Not for several threads at once.

    The open file is locked. An unlocked file that is not sealed was left by a dead process.
    """

    def __init__(self, folder: Path, writer: str) -> None:
        self._folder = folder
        self._writer = writer
        self._head = head_of(folder, writer)
        self._kept = Head(0, 0, GENESIS_HASH)
        self._descriptor = -1
        self._number = 0
        self._end = 0
        self._dirty = False

    def write(self, number: int, data: bytes, n: int, head_hash: str) -> None:
        """Append lines to a file, and begin it if it is not the open one.

        Args:
            number: of the file.
            data: whole lines.
            n: how many lines the file then has.
            head_hash: its chain head then.

        Raises:
            AuditError: nothing was written.
        """
        path = self._folder / segment_name(self._writer, number)
        try:
            if number != self._number:
                self._begin(path, number)
            self._append(path, data, n, head_hash)
        except AuditError:
            raise
        except (OSError, StoreError) as error:
            why = reason_of(error) if isinstance(error, OSError) else str(error)
            raise AuditError(f"could not write the requests to {path}: {why}") from error

    def _begin(self, path: Path, number: int) -> None:
        descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        try:
            # A gateway that looks for files of the dead may hold the lock of a new file for a moment.
            flock_wait(descriptor, exclusive=True, what=str(path))
            fsync_directory(self._folder)
            found = self._head.read()
            begun = Head(0, 0, GENESIS_HASH, announced=True, number=number)
            self._kept = found[0] if found is not None else self._head.create(begun)
        except (OSError, StoreError):
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self.close()
        self._descriptor, self._number, self._end, self._dirty = descriptor, number, 0, False

    def _append(self, path: Path, data: bytes, n: int, head_hash: str) -> None:
        end = self._end + len(data)
        try:
            if self._dirty:
                os.ftruncate(self._descriptor, self._end)
            self._dirty = True
            write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
            if not os.path.samestat(os.fstat(self._descriptor), os.stat(path, follow_symlinks=False)):
                raise OSError(
                    errno.ESTALE, "it was replaced while it was written"
                )  # a file without a name is lost with this process
            self._kept = self._head.write(replace(self._kept, n=n, size=end, hash=head_hash, number=self._number))
        except (OSError, AuditError):
            with contextlib.suppress(OSError):  # else it is cut before the next write
                os.ftruncate(self._descriptor, self._end)
            raise
        self._end = end
        self._dirty = False

    def close(self) -> None:
        """Close the open file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def head_of(folder: Path, writer: str) -> HeadFile:
    """Return the file that says how far a writer has come."""
    return HeadFile(folder / f"{writer}.head")


def drop_head(folder: Path, seal: Seal) -> None:
    """Remove the head of a writer once the audit trail has sealed the file it is about."""
    writer, _, number = seal.segment.removesuffix(".jsonl").rpartition("-")
    head = head_of(folder, writer)
    with contextlib.suppress(OSError, AuditError):
        found = head.read()
        if found is not None and found[0].number <= int(number):
            head.path.unlink()


def make_read_only(path: Path) -> None:
    """Mark a file as sealed."""
    with contextlib.suppress(OSError):
        os.chmod(path, _SEALED, follow_symlinks=False)


def last_of(folder: Path, writer: str) -> tuple[int, str]:
    """Return number and chain head of the writer's last file; 0 and zeros without one.

    Raises AuditError when it is damaged.
    """
    numbers = [int(path.stem.rpartition("-")[2]) for path in folder.glob(f"{writer}-*.jsonl")]
    if not numbers:
        return 0, GENESIS_HASH
    path = folder / segment_name(writer, max(numbers))
    report = verify_segment(path)
    if report.fault:
        raise AuditError(f"{path} is damaged ({report.fault}); see `selfopt audit verify`")
    return max(numbers), report.head_hash


def left_by_the_dead(folder: Path, writer: str) -> Iterator[tuple[Path, Seal, str]]:
    """Yield every unsealed file of a dead writer: its path, its seal, and what is wrong with it."""
    for path in sorted(folder.glob("*.jsonl")):
        if path.name.startswith(f"{writer}-"):
            continue
        try:
            descriptor = open_private(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            if not os.fstat(descriptor).st_mode & 0o200:
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            report, fault = _left(folder, path)
            yield path, Seal(path.name, report.n, report.head_hash, True, report.torn_bytes), fault
        except OSError:  # it is locked: its writer lives
            continue
        except AuditError as error:
            yield path, Seal(path.name, 0, "", True), str(error)
        finally:
            os.close(descriptor)


def _left(folder: Path, path: Path) -> tuple[SegmentReport, str]:
    """Verify a file by its lines and its writer's head; return the report and what is wrong.

    Raises AuditError for a damaged head.
    """
    writer, _, number = path.stem.rpartition("-")
    found = head_of(folder, writer).read()
    mine = found is not None and found[0].n > 0 and str(found[0].number) == number
    report = verify_segment(path, {found[0].n: found[0].hash} if found is not None and mine else {})
    if not report.fault and found is not None and mine and found[0].n > report.n:
        return report, "it was cut: the head of its writer tells of more"
    if not report.fault and found is None and report.announced:
        return report, "the head of its writer is missing"
    return report, report.fault
