"""An append-only file of hash-chained JSON lines.

A line is one record, as ASCII JSON with sorted keys. Its hash is the SHA-256 of the canonical JSON
of all other fields, and one of these is the hash of the line before. A last line without a newline
was never acknowledged. The next append moves it to `<name>.torn-<n>` and says so in its record.

The file's head stands beside it (see `head`). An append first checks that the file holds what its
head says, and refuses otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from pydantic import ValidationError

from selfopt.errors import AuditError, LockedError, NewerSchemaError
from selfopt.records import AuditRecord, utc_now

from .chain_check import GENESIS_HASH, HEAD_KEPT, ChainReport, check_chain, is_announced
from .chain_line import MAX_LINE_BYTES, AuditEvent, AuditFields, BadLineError, check_line, event_body, parse_line, written
from .files import flock_wait, fsync_directory, is_regular, lines_backwards, open_private, reason_of, write_all
from .head import Head, HeadFile

__all__ = ["GENESIS_HASH", "AuditEvent", "AuditFields", "ChainReport", "ChainedFile"]

_SEE = "see `selfopt audit verify` and docs/ROLLBACK.md"


class ChainedFile:
    """One chained file. Any number of processes and threads may append to it at the same time."""

    def __init__(self, path: Path, *, clock: Callable[[], str] = utc_now) -> None:
        self.path = path
        self.head = HeadFile(path.with_suffix(".head"))
        self._clock = clock
        self._seen = Head(0, 0, GENESIS_HASH)

    def append(self, event: str, **fields: Unpack[AuditFields]) -> AuditRecord:
        """Append one record, which is on disk when this returns. Raises like `append_all`."""
        return self.append_all([AuditEvent(event, fields)])[0]

    def append_all(self, events: Sequence[AuditEvent]) -> tuple[AuditRecord, ...]:
        """Append records in one write and one fsync.

        Raises:
            AuditError: the records cannot be written, the last record of the file is damaged, or
                the file does not hold what its head says. The file is left as it was.
            LockedError: another process held the file for more than ten seconds.
            ValueError: the details of an event are not JSON.
        """
        if not events:
            return ()
        with self._locked() as (descriptor, size):
            head = self._head_at(descriptor, size)
            told: dict[str, Any] = {} if head.announced else {HEAD_KEPT: self.head.path.name}
            if head.size < size:
                told["torn_tail"] = self._keep_torn(descriptor, head.size, size)
            records, lines, last_hash = list[AuditRecord](), list[bytes](), head.hash
            for event in events:
                body = event_body(event, self._clock(), last_hash, told)
                last_hash, told = body["hash"], {}
                records.append(AuditRecord.model_validate(body))
                lines.append(written(body))
            if max(map(len, lines)) > MAX_LINE_BYTES:
                raise AuditError(
                    f"an audit record is larger than {MAX_LINE_BYTES} bytes; nothing was written: shorten its details"
                )
            data = b"".join(lines)
            self._write_at(descriptor, head.size, data)
            end = head.size + len(data)
            self._move_head(descriptor, head, replace(head, n=head.n + len(lines), size=end, hash=last_hash, announced=True))
            return tuple(records)

    def check(self) -> None:
        """Check that a record could be appended now, without appending one.

        Raises like `append_all`.
        """
        with self._locked() as (descriptor, size):
            self._seen = self.head.write(self._head_at(descriptor, size), durably=True)

    def note(self, number: int) -> None:
        """Keep in the head that this version of the rules was in force.

        Raises like `append_all`.
        """
        with self._locked() as (descriptor, size):
            head = self._head_at(descriptor, size)
            if number > head.number:
                self.head.write(replace(head, number=number), durably=True)

    def noted(self) -> int:
        """Returns the newest version of the rules that was in force, as noted in the head; 0 for
        none.

        Raises AuditError when the head cannot be read, or is missing although a record says there
        is one.
        """
        found = self.head.read()
        if found is not None:
            return found[0].number
        if any(is_announced(line) for line in self._lines_backwards(f'"{HEAD_KEPT}":'.encode())):
            raise AuditError(f"the head of the audit trail, {self.head.path}, is missing; {_SEE}")
        return 0

    def fault(self) -> str:
        """Returns what is wrong with the end of the file, or "".

        Reads only the end, and writes nothing.
        """
        try:
            found = self.head.read()
            with self._reading() as descriptor:
                end, last_hash = self._end(descriptor, _settled_size(descriptor, self.path))
                if found is not None:
                    self._continued(found[0], descriptor, end, last_hash)
        except FileNotFoundError:
            return f"{self.path} is missing, but its head has records; {_SEE}" if found is not None and found[0].n else ""
        except AuditError as error:
            return str(error)
        return found[1] if found is not None else ""

    @contextlib.contextmanager
    def _locked(self) -> Iterator[tuple[int, int]]:
        """Lock the file exclusively while the block runs. Yields its descriptor and its size in
        bytes.

        Creates a missing file, unless its head says that it held records.
        """
        try:
            if not self.path.exists() and (((found := self.head.read()) is not None and found[0].n) or self._seen.n):
                raise AuditError(f"the audit trail {self.path} is missing, but its head has records; nothing is written: {_SEE}")
            descriptor, size = self._open_locked()
            try:
                yield descriptor, size
            finally:
                os.close(descriptor)
        except OSError as error:
            raise AuditError(f"could not write the audit trail {self.path}: {reason_of(error)}; nothing was changed") from error

    def _end(self, descriptor: int, size: int) -> tuple[int, str]:
        """Returns the offset after the last complete line, and that line's hash."""
        offset, line = next(lines_backwards(descriptor, size, MAX_LINE_BYTES), (0, None))
        if line is None:
            return 0, GENESIS_HASH
        try:
            return offset + len(line) + 1, check_line(line)[1]
        except BadLineError as bad:
            raise AuditError(
                f"the last record of the audit trail {self.path} is damaged ({bad}); nothing is written: {_SEE}"
            ) from None

    def _head_at(self, descriptor: int, size: int) -> Head:
        """Returns the head of the file as it is now, up to its last complete line.

        A file of an older selfopt has no head yet: it is checked whole, and then gets one. Raises
        AuditError when the file does not hold what its head says.
        """
        good_end, last_hash = self._end(descriptor, size)
        found = self.head.read()
        if found is None:
            report = check_chain(self._lines(good_end), None)
            if self._seen.n or report.announced:
                raise AuditError(f"the head of the audit trail, {self.head.path}, is missing; nothing is written: {_SEE}")
            if not report.ok:
                raise AuditError(f"the audit trail {self.path} does not verify ({report.reason}); nothing is written: {_SEE}")
            return self.head.create(Head(report.n, good_end, last_hash))
        return self._continued(found[0], descriptor, good_end, last_hash)

    def _continued(self, kept: Head, descriptor: int, good_end: int, last_hash: str) -> Head:
        """Returns the kept head, moved on to the end of the file.

        AuditError when the file contradicts it.
        """
        if kept.n < self._seen.n or good_end < kept.size:
            raise AuditError(
                f"the audit trail {self.path} was cut: {self.head.path} has more records; nothing is written: {_SEE}"
            )
        rest = os.pread(descriptor, good_end - kept.size, kept.size)
        before = self._end(descriptor, kept.size)[1] if rest else last_hash
        newer = check_chain(((i, line, True) for i, line in enumerate(rest.split(b"\n")[:-1], 1)), None, follows=before)
        if before != kept.hash or not newer.ok:
            raise AuditError(f"the audit trail {self.path} does not fit its head, {self.head.path}; nothing is written: {_SEE}")
        announced = kept.announced or newer.announced
        return replace(kept, n=kept.n + newer.n, size=good_end, hash=last_hash, announced=announced)

    def _open_locked(self) -> tuple[int, int]:
        """Lock the file that has this name now. Returns its descriptor and its size in bytes."""
        while True:
            descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
            try:
                self._check_kind(descriptor)
                flock_wait(descriptor, exclusive=True, what=f"the audit trail {self.path}")
                here = os.fstat(descriptor)
                if os.path.samestat(here, os.stat(self.path, follow_symlinks=False)):
                    return descriptor, here.st_size
            except FileNotFoundError:
                pass  # moved aside while waiting: open anew
            except (OSError, LockedError, AuditError):
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _check_kind(self, descriptor: int) -> None:
        if not is_regular(descriptor):
            raise AuditError(f"the audit trail {self.path} is not a regular file; move it aside, or restore it from a copy")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[int]:
        """The descriptor of the trail while the block reads it.

        Raises FileNotFoundError where there is no trail, AuditError when it cannot be read or is no
        regular file.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                self._check_kind(descriptor)
                yield descriptor
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise AuditError(f"could not read the audit trail {self.path}: {reason_of(error)}") from error

    def _move_head(self, descriptor: int, before: Head, after: Head) -> None:
        """Write the head over the new records, which are durable.

        If that fails, take the records back.
        """
        try:
            self.head.write(after)
        except OSError:
            os.ftruncate(descriptor, before.size)
            os.fsync(descriptor)
            raise
        self._seen = after

    def _write_at(self, descriptor: int, good_end: int, data: bytes) -> None:
        try:
            os.ftruncate(descriptor, good_end)
            os.lseek(descriptor, good_end, os.SEEK_SET)
            write_all(descriptor, data)
            os.fsync(descriptor)
            if good_end == 0:
                fsync_directory(self.path.parent)
        except BaseException:
            os.ftruncate(descriptor, good_end)
            os.fsync(descriptor)
            raise

    def _keep_torn(self, descriptor: int, good_end: int, size: int) -> dict[str, Any]:
        """Copy the incomplete last line aside. Returns what the next record says about it."""
        fragment = os.pread(descriptor, min(size - good_end, MAX_LINE_BYTES), good_end)
        number = 1
        while True:
            aside = self.path.with_name(f"{self.path.name}.torn-{number}")
            try:
                copy = open_private(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
                break
            except FileExistsError:
                number += 1
        try:
            write_all(copy, fragment)
            os.fsync(copy)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        finally:
            os.close(copy)
        fsync_directory(self.path.parent)
        return {"kept_in": aside.name, "size_bytes": size - good_end}

    def records(self) -> Iterator[AuditRecord]:
        """Yields every record in order; none when the file is missing. Skips an incomplete last
        line.

        Checks each line by itself; `verify` also checks the chain. Raises AuditError at a damaged
        line, NewerSchemaError at a record with fields that this selfopt does not know.
        """
        for number, line, complete in self._lines():
            if not complete:
                return
            yield self._read_record(f"line {number}", line)

    def newest_first(self, *containing: bytes) -> Iterator[AuditRecord]:
        """Yields records from the last to the first. Raises like `records`.

        containing: yield only records whose line contains one of these byte strings; all when
        empty.
        """
        for line in self._lines_backwards(*containing):
            yield self._read_record("a line", line)

    def _lines_backwards(self, *containing: bytes) -> Iterator[bytes]:
        """Yields the complete lines that contain one of these byte strings, or all lines; the last
        first.
        """
        with contextlib.suppress(FileNotFoundError), self._reading() as descriptor:
            for _, line in lines_backwards(descriptor, _settled_size(descriptor, self.path), MAX_LINE_BYTES):
                if not containing or any(part in line for part in containing):
                    yield line

    def _read_record(self, place: str, line: bytes) -> AuditRecord:
        try:
            check_line(line)
            body = parse_line(line)
        except BadLineError as bad:
            raise AuditError(f"{place} of the audit trail {self.path} is damaged ({bad}); see `selfopt audit verify`") from None
        try:
            return AuditRecord.model_validate(body)
        except ValidationError as error:
            place = f"{place} of the audit trail {self.path}"
            if unknown := sorted(set(body) - set(AuditRecord.model_fields)):
                raise NewerSchemaError(f"{place} has unknown fields ({', '.join(unknown)[:80]}); update selfopt") from None
            first = error.errors()[0]
            raise AuditError(f"{place} is not an audit record ({first['loc'][0]}: {first['msg']})") from None

    def verify(self, expected: Collection[str] = (), *, anchors: Mapping[int, str] | None = None) -> ChainReport:
        """Read the whole file once and check every hash and link, and the head.

        Args:
            expected: hashes that were sealed elsewhere; some record must have each of them.
            anchors: hashes that were noted elsewhere, by number of record.

        Damaged content is reported, not raised. Raises AuditError when the file cannot be read.
        """
        fault, head = "", None
        try:
            found = self.head.read()  # before the file: its writers write it afterwards
            if found is not None:
                head, fault = found
        except AuditError as error:
            fault = str(error)
        report = check_chain(self._lines(), head, expected=expected, places=anchors)
        notes: tuple[str, ...] = ()
        if head is None and not fault and report.n:
            if report.announced:
                fault = "its head is missing: records may have been cut off at its end"
            else:
                notes = ("it has no head yet: the next record adds one",)
        problems = (*report.problems, *([fault] if fault else []))
        aside = tuple(sorted(p.name for p in self.path.parent.glob(f"{self.path.name}.torn-*")))
        return replace(report, ok=not problems, reason=(problems or ("",))[0], problems=problems, notes=notes, torn_aside=aside)

    def _lines(self, end: int | None = None) -> Iterator[tuple[int, bytes, bool]]:
        """Yields (number from 1, line without its newline, whether it had one).

        end: where to stop, in bytes; only the holder of the lock may name it. Default: the file's
        size now.
        """
        with contextlib.suppress(FileNotFoundError), self._reading() as descriptor:
            left = _settled_size(descriptor, self.path) if end is None else end
            with open(descriptor, "rb", buffering=1 << 20, closefd=False) as file:
                number = 0
                while left > 0 and (line := file.readline(min(left, MAX_LINE_BYTES + 1))):
                    left -= len(line)
                    number += 1
                    complete = line.endswith(b"\n")
                    yield number, line.rstrip(b"\n") if complete else line, complete or len(line) > MAX_LINE_BYTES


def _settled_size(descriptor: int, path: Path) -> int:
    """Returns the file's size in bytes at a moment when no writer is in the middle of a line."""
    flock_wait(descriptor, exclusive=False, what=f"the audit trail {path}")
    size = os.fstat(descriptor).st_size
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return size
