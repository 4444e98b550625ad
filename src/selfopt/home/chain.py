"""An append-only file of hash-chained JSON lines.

A line is the record as ASCII JSON with sorted keys. Its hash is the SHA-256 of the canonical JSON of all other fields, among
them the hash of the line before. A line that the file does not end with a newline was never acknowledged: the next append
cuts it off, keeps it aside as `<name>.torn-<n>` and says so in its record.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import ValidationError

from selfopt.errors import AuditError, LockedError, NewerSchemaError
from selfopt.records import AuditRecord, utc_now

from .backwards import lines_backwards
from .chain_line import MAX_LINE_BYTES, BadLineError, check_line, parse_line, sealed_body, written
from .files import flock_wait, fsync_directory, is_regular, open_private, reason_of, write_all

__all__ = ["GENESIS_HASH", "AuditEvent", "AuditFields", "ChainReport", "ChainedFile"]

GENESIS_HASH = "0" * 64


class AuditFields(TypedDict, total=False):
    """The fields of an audit record that its writer chooses, besides the event's name."""

    original_model: str | None
    fallback: str | None
    phase: str | None
    reason: str
    rule_id: str | None
    config_version: int | None
    evidence: tuple[str, ...]
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event to append. details: JSON values."""

    event: str
    fields: AuditFields = field(default_factory=AuditFields)


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a verification saw. n: intact records before the first bad line; first_bad_line: counted from 1, None when all
    is well; torn_tail: the file ends in an incomplete line (never acknowledged, so the chain is still ok); torn_aside: files
    kept aside by repairs; head_hash: of the last intact record; missing: expected hashes that no record has."""

    ok: bool
    n: int
    first_bad_line: int | None
    torn_tail: bool
    head_hash: str
    reason: str = ""
    torn_aside: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class ChainedFile:
    """Any number of processes and threads may append to the same path at the same time."""

    def __init__(self, path: Path, *, clock: Callable[[], str] = utc_now) -> None:
        self.path = path
        self._clock = clock

    def append(self, event: str, **fields: Unpack[AuditFields]) -> AuditRecord:
        """Append one record; it is on disk when this returns. Raises as `append_all`."""
        return self.append_all([AuditEvent(event, fields)])[0]

    def append_all(self, events: Sequence[AuditEvent]) -> tuple[AuditRecord, ...]:
        """Append records in one write and one fsync.

        Raises AuditError when they cannot be written (the file is then as it was) or the last record is damaged; LockedError
        when another process holds the file for longer than ten seconds; ValueError for details that are not JSON.
        """
        if not events:
            return ()
        try:
            descriptor, size = self._open_locked()
            try:
                return self._append_locked(descriptor, size, events)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise AuditError(f"could not write the audit trail {self.path}: {reason_of(error)}; nothing was changed") from error

    def _open_locked(self) -> tuple[int, int]:
        """The descriptor of the file that has this name now, exclusively locked, and its size in bytes."""
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

    def _open_to_read(self) -> int:
        """The descriptor; FileNotFoundError when there is no trail, AuditError for anything that cannot be one."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise AuditError(f"could not read the audit trail {self.path}: {reason_of(error)}") from error
        try:
            self._check_kind(descriptor)
        except AuditError:
            os.close(descriptor)
            raise
        return descriptor

    def _append_locked(self, descriptor: int, size: int, events: Sequence[AuditEvent]) -> tuple[AuditRecord, ...]:
        good_end, last_line = _read_tail(descriptor, size)
        previous_hash = GENESIS_HASH
        if last_line is not None:
            try:
                _, previous_hash = check_line(last_line)
            except BadLineError as bad:
                raise AuditError(
                    f"the last record of the audit trail {self.path} is damaged ({bad}); nothing was written: "
                    "see `selfopt audit verify`, then restore the file or move it aside"
                ) from None
        torn = self._keep_torn(descriptor, good_end, size) if good_end < size else None
        records, lines = [], []
        for number, event in enumerate(events):
            body = _body(event, self._clock(), previous_hash, torn if number == 0 else None)
            previous_hash = body["hash"]
            records.append(AuditRecord.model_validate(body))
            lines.append(written(body))
        if max(map(len, lines)) > MAX_LINE_BYTES:
            raise AuditError(f"an audit record is larger than {MAX_LINE_BYTES} bytes; nothing was written: shorten its details")
        self._write_at(descriptor, good_end, b"".join(lines))
        return tuple(records)

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
        """Copy the incomplete last line aside; returns what the next record says about it."""
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
        """Every record in order; none when the file is missing. An incomplete last line is left out.

        Checks each line for itself, not the chain (`verify` does). Raises AuditError at a damaged line, NewerSchemaError for
        a record with fields this program does not know.
        """
        for number, line, complete in self._lines():
            if not complete:
                return
            yield self._read_record(f"line {number}", line)

    def newest_first(self, containing: bytes = b"") -> Iterator[AuditRecord]:
        """Records from the last to the first, only those whose line holds these bytes. An incomplete last line is left out.

        Raises as `records`, with lines counted from the end.
        """
        try:
            descriptor = self._open_to_read()
        except FileNotFoundError:
            return
        try:
            size = _settled_size(descriptor, self.path)
            for number, (_, line) in enumerate(lines_backwards(descriptor, size, MAX_LINE_BYTES), 1):
                if containing in line:
                    yield self._read_record(f"line {number} from the end", line)
        finally:
            os.close(descriptor)

    def _read_record(self, place: str, line: bytes) -> AuditRecord:
        try:
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

    def verify(self, expected: Collection[str] = ()) -> ChainReport:
        """Read the whole file once, line by line, and check every hash and link.

        expected: hashes that some record must have (they were sealed elsewhere): a trail that was cut or replaced lacks them.
        Never raises for damaged content; AuditError when the file cannot be read.
        """
        head, n, torn, bad_line, reason = GENESIS_HASH, 0, False, None, ""
        missing = set(expected)
        for number, line, complete in self._lines():
            if not complete:
                torn = True
                break
            try:
                previous, found = check_line(line)
                if previous != head:
                    raise BadLineError("its previous_hash is not the hash of the line before")
            except BadLineError as bad:
                bad_line, reason = number, str(bad)
                break
            head, n = found, number
            missing.discard(head)
        if missing and not reason:
            reason = f"{len(missing)} sealed record(s) are not in the trail: it was cut, replaced or moved"
        aside = tuple(sorted(p.name for p in self.path.parent.glob(f"{self.path.name}.torn-*")))
        return ChainReport(bad_line is None and not missing, n, bad_line, torn, head, reason, aside, tuple(sorted(missing)))

    def _lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """(number from 1, line without its newline, whether it had one), up to the size at the start."""
        try:
            with open(self._open_to_read(), "rb", buffering=1 << 20) as file:
                left = _settled_size(file.fileno(), self.path)
                number = 0
                while left > 0:
                    line = file.readline(min(left, MAX_LINE_BYTES + 1))
                    if not line:
                        return
                    left -= len(line)
                    number += 1
                    complete = line.endswith(b"\n")
                    yield number, line.rstrip(b"\n") if complete else line, complete or len(line) > MAX_LINE_BYTES
        except FileNotFoundError:
            return
        except OSError as error:
            raise AuditError(f"could not read the audit trail {self.path}: {reason_of(error)}") from error


def _settled_size(descriptor: int, path: Path) -> int:
    """The size while no writer is in the middle of a line."""
    flock_wait(descriptor, exclusive=False, what=f"the audit trail {path}")
    size = os.fstat(descriptor).st_size
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return size


def _read_tail(descriptor: int, size: int) -> tuple[int, bytes | None]:
    """(end of the last complete line, that line without its newline or None)."""
    for offset, line in lines_backwards(descriptor, size, MAX_LINE_BYTES):
        return offset + len(line) + 1, line
    return 0, None


def _body(event: AuditEvent, timestamp: str, previous_hash: str, torn: dict[str, Any] | None) -> dict[str, Any]:
    fields = event.fields
    details = dict(fields.get("details", {}))
    if torn is not None:
        details["torn_tail"] = torn
    return sealed_body(
        {
            "timestamp": timestamp,
            "event": event.event,
            "original_model": fields.get("original_model"),
            "fallback": fields.get("fallback"),
            "phase": fields.get("phase"),
            "reason": fields.get("reason", ""),
            "rule_id": fields.get("rule_id"),
            "config_version": fields.get("config_version"),
            "evidence": list(fields.get("evidence", ())),
            "details": details,
            "previous_hash": previous_hash,
        }
    )
