"""Reads back what gateways recorded, also while they write.

Several processes write, each a file of its own. A line counts once its newline is there: what follows the last
one may be half a record.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from selfopt.errors import AuditError
from selfopt.home.files import open_private, reason_of

from .ticket import FeedbackRecord, JournalRecord, RequestRecord

CHUNK = 4_000_000
LONGEST_LINE = 1_000_000
_NAME = re.compile(r"([0-9a-f]{4,32})-([1-9][0-9]{0,9})\.jsonl")
_KIND = b',"kind":"'
_REQUEST, _FEEDBACK = msgspec.json.Decoder(RequestRecord), msgspec.json.Decoder(FeedbackRecord)


class RecordPlace(msgspec.Struct, frozen=True, gc=False):
    """Where a record stands. file: its name in the folder of requests."""

    file: str
    offset: int
    length: int


@dataclass(slots=True)
class _Followed:
    offset: int
    inode: int
    skipping: bool = False  # within a line that is too long


class RecordedRequests:
    """Follows the files of one folder.

    Attributes:
        faults: lines that could not be read.
        left_out: files of earlier requests that were not read, because there were enough of newer ones.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _Followed] = {}
        self.faults = 0
        self.left_out = 0

    def first(self, most: int) -> Iterator[tuple[RecordPlace, JournalRecord]]:
        """Yield the records of the newest files, file by file, until there are so many. Raises AuditError."""
        n = 0
        for name, found in sorted(self._there().items(), key=lambda each: -each[1].st_mtime_ns):
            if n >= most:
                self._files[name] = _Followed(found.st_size, found.st_ino)
                self.left_out += 1
                continue
            for each in self._more(name, found):
                n += 1
                yield each

    def glimpse(self, size_bytes: int = 262_144, files: int = 16) -> list[tuple[RecordPlace, JournalRecord]]:
        """Return the last records of the newest files, at once: those that are newer than anything that was left out.

        Nothing of it counts as read. Raises AuditError.
        """
        found: list[tuple[RecordPlace, JournalRecord]] = []
        horizon = ""
        newest = sorted(self._there().items(), key=lambda each: -each[1].st_mtime_ns)
        if len(newest) > files:
            horizon = datetime.fromtimestamp(newest[files][1].st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        for name, there in newest[:files]:
            begin = max(0, there.st_size - size_bytes)
            followed = _Followed(begin, there.st_ino, skipping=begin > 0)
            mine = list(self._read(name, followed))
            found += mine
            if begin > 0 and mine:
                horizon = max(horizon, mine[0][1].at)
        self.faults = 0
        return [each for each in found if each[1].at >= horizon]

    def more(self) -> Iterator[tuple[RecordPlace, JournalRecord]]:
        """Yield the records that came since the last look. Raises AuditError."""
        for name, found in self._there().items():
            followed = self._files.get(name)
            if followed is None or found.st_size > followed.offset or found.st_ino != followed.inode:
                yield from self._more(name, found)

    def whole(self) -> Iterator[JournalRecord]:
        """Yield every record, file by file, the file that was written last at the end. Raises AuditError."""
        for name, found in sorted(self._there().items(), key=lambda each: (each[1].st_mtime_ns, each[0])):
            for _, record in self._more(name, found):
                yield record

    def record(self, place: RecordPlace) -> JournalRecord | None:
        """Return the record that stands there; None if it does not any more. Raises AuditError."""
        try:
            descriptor = open_private(self._folder / place.file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"could not read the requests in {self._folder / place.file}: {reason_of(error)}") from error
        try:
            return _record_of(os.pread(descriptor, place.length, place.offset))
        finally:
            os.close(descriptor)

    def _there(self) -> dict[str, os.stat_result]:
        found = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        found[entry.name] = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AuditError(f"could not read the folder {self._folder}: {reason_of(error)}") from error
        return found

    def _more(self, name: str, found: os.stat_result) -> Iterator[tuple[RecordPlace, JournalRecord]]:
        followed = self._files.get(name)
        if followed is None or followed.inode != found.st_ino:  # another file of that name is read from its beginning
            followed = self._files[name] = _Followed(0, found.st_ino)
        yield from self._read(name, followed)

    def _read(self, name: str, followed: _Followed) -> Iterator[tuple[RecordPlace, JournalRecord]]:
        """Yield the records of a file from where it was left."""
        try:
            descriptor = open_private(self._folder / name, os.O_RDONLY)
        except OSError:  # gone since
            return
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            while chunk := os.pread(descriptor, CHUNK, followed.offset):
                yield from self._lines(name, followed, chunk)
                if b"\n" not in chunk and not followed.skipping:
                    return
        except OSError as error:
            raise AuditError(f"could not read the requests in {self._folder / name}: {reason_of(error)}") from error
        finally:
            os.close(descriptor)

    def _lines(self, name: str, followed: _Followed, chunk: bytes) -> Iterator[tuple[RecordPlace, JournalRecord]]:
        """Yield the records of whole lines. A line that is too long is left out, with what belongs to it."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            if followed.skipping or len(chunk) > LONGEST_LINE:
                self.faults += not followed.skipping
                followed.skipping = True
                followed.offset += len(chunk)
            return
        at = 0
        if followed.skipping:
            at, followed.skipping = chunk.find(b"\n") + 1, False
        base, followed.offset = followed.offset, followed.offset + end
        while at < end:
            after = chunk.find(b"\n", at) + 1
            line = chunk[at:after]
            try:
                record = _record_of(line) if len(line) <= LONGEST_LINE else None
            except AuditError:
                record = None
            if record is not None:
                yield RecordPlace(name, base + at, len(line)), record
            elif not _is_first(line):
                self.faults += 1
            at = after


def _is_first(line: bytes) -> bool:
    """Whether a line says which file it begins."""
    return _kind_of(line).startswith(b"segment")


def _kind_of(line: bytes) -> bytes:
    """Return a line from the value of its `kind` on, which comes right after the hash of the line before."""
    at = line.find(_KIND, 0, 120)
    return line[at + len(_KIND) : at + len(_KIND) + 10] if at > 0 else b""


def _record_of(line: bytes) -> JournalRecord | None:
    """Return a line's record; None for one of another kind. Raises AuditError."""
    kind = _kind_of(line)
    try:
        if kind.startswith(b'request"'):
            return _REQUEST.decode(line)
        if kind.startswith(b'feedback"'):
            return _FEEDBACK.decode(line)
        return _odd_record_of(line) if b'"kind": "' in line[:120] else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _odd_record_of(line)


def _odd_record_of(line: bytes) -> JournalRecord:
    """Return the record of a line with invalid Unicode in it, which the fast decoder refuses. Raises AuditError."""
    try:
        found = json.loads(line)
        kind = {"request": RequestRecord, "feedback": FeedbackRecord}[found["kind"]]
        record: JournalRecord = msgspec.convert(found, kind)
        return record
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise AuditError("a record of a request cannot be read; see `selfopt audit verify`") from error
