"""The head of a chained file: number of lines, size, and hash of the last acknowledged line.

A chain proves that no line was changed. Only the head proves that none is missing at the end. It
stands in a file of its own and is written after the lines are durable: it is never ahead of them,
and at most one append behind. Two slots with a checksum each are written in turn, so that one stays
readable when the power fails during a write.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from selfopt.errors import AuditError, StoreError

from .files import atomic_write_text, is_regular, opened, reason_of

SLOT_BYTES = 512
_CHECKSUM_DIGITS = 16
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chained file has come."""

    n: int  # lines
    size: int  # bytes up to the end of the last of these lines
    hash: str  # of that line
    announced: bool = False  # a line of the chained file says that there is a head
    number: int = 0  # in the audit trail: the newest version of the rules in force; in live requests: the file's number
    count: int = 0  # how often the head was written


class HeadFile:
    """The file of one head. Its writers hold the lock of the chained file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Head, str] | None:
        """Returns the head, and what is wrong with its file ("" when nothing is); None when there
        is no file.

        Raises AuditError when no head can be read from the file.
        """
        good: list[Head] = []
        for _ in range(_LOOKS):
            slots = self._slots()
            if slots is None:
                return None
            good = [slot for slot in slots if slot is not None]
            if len(good) == 2:
                break  # a writer may be in the middle of the other one
        if not good:
            raise AuditError(f"{self.path} is damaged: no head can be read from it; see `selfopt audit verify`")
        fault = "" if len(good) == 2 else f"one of the two entries of {self.path.name} is damaged"
        return max(good, key=lambda slot: slot.count), fault

    def _slots(self) -> list[Head | None] | None:
        try:
            with opened(self.path, os.O_RDONLY) as descriptor:
                if not is_regular(descriptor):
                    raise AuditError(f"{self.path} is not a regular file; move it aside, or restore it from a copy")
                data = os.pread(descriptor, 2 * SLOT_BYTES + 1, 0)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"could not read {self.path}: {reason_of(error)}") from error
        if len(data) > 2 * SLOT_BYTES:
            return [None, None]
        return [_parsed(data[place * SLOT_BYTES : (place + 1) * SLOT_BYTES], place) for place in (0, 1)]

    def create(self, head: Head) -> Head:
        """Write a new head file, durably. Returns the head with its count. Raises AuditError."""
        entries = [replace(head, count=count) for count in (0, 1)]
        try:
            atomic_write_text(self.path, "".join(map(_slot, entries)))
        except StoreError as error:
            raise AuditError(str(error)) from error
        return entries[1]

    def write(self, head: Head, *, durably: bool = False) -> Head:
        """Write the head over the older of the two slots. Returns it with its new count. Raises
        OSError.

        head: made from what was read under the same lock. durably: also wait until it is on disk.
        Without that, the head may be behind after a power failure; the next reader catches up from
        the lines.
        """
        head = replace(head, count=head.count + 1)
        with opened(self.path, os.O_WRONLY) as descriptor:
            if os.pwrite(descriptor, _slot(head).encode(), head.count % 2 * SLOT_BYTES) != SLOT_BYTES:
                raise OSError(f"only a part of {self.path} was written")
            if durably:
                os.fsync(descriptor)
        return head


@functools.lru_cache(maxsize=8)
def _slot(head: Head) -> str:
    body = json.dumps(asdict(head), sort_keys=True, separators=(",", ":"))
    checksum = hashlib.sha256(body.encode()).hexdigest()[:_CHECKSUM_DIGITS]
    return f"{body} {checksum}".ljust(SLOT_BYTES - 1) + "\n"


@functools.lru_cache(maxsize=8)
def _parsed(data: bytes, place: int) -> Head | None:
    """Returns the head in a slot; None unless the slot is, byte for byte, as it was written."""
    try:
        head = Head(**json.loads(data[: data.rindex(b" ", 0, len(data.rstrip()))]))
        whole = all(type(part) is int and part >= 0 for part in (head.n, head.size, head.number, head.count))
        return head if whole and head.count % 2 == place and _slot(head).encode() == data else None
    except (ValueError, TypeError, RecursionError):
        return None
