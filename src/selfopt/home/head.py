"""How far a chained file has come, kept beside it: count, size and hash of its last acknowledged line.

A chain shows that no line of it was changed; only its head shows that none is missing at its end. It is written after the
lines are durable, so it is never ahead of them, and at most the last group behind. Two slots are written in turn, each with
a checksum: when the power fails in the middle of one, the other still tells.
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
    """n: lines; size: bytes up to the end of the last of them; hash: of that line. announced: the chained file says itself that
    there is a head. number: of the trail: the newest version of the rules that was in force; of live requests: the file's number.
    count: how often it was written."""

    n: int
    size: int
    hash: str
    announced: bool = False
    number: int = 0
    count: int = 0


class HeadFile:
    """One head. Its writers hold the lock of the chained file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Head, str] | None:
        """(the head, what is wrong with its file although it can be read); None when there is none. AuditError when it is damaged."""
        good: list[Head] = []
        for _ in range(_LOOKS):
            slots = self._slots()
            if slots is None:
                return None
            good = [slot for slot in slots if slot is not None]
            if len(good) == 2:
                break  # else it may be just being written
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
        """Begin it, durably and whole; returns what was written. AuditError when it cannot be written."""
        entries = [replace(head, count=count) for count in (0, 1)]
        try:
            atomic_write_text(self.path, "".join(map(_slot, entries)))
        except StoreError as error:
            raise AuditError(str(error)) from error
        return entries[1]

    def write(self, head: Head, *, durably: bool = False) -> Head:
        """Write the entry that comes after this one (made of what was read under the same lock) over the older of the two; returns it.
        OSError when it cannot be written.

        Left to the system to sync: after a power failure it may be behind, which the lines after it make good."""
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
    """What an entry says; None unless it is, byte for byte, as it was written there."""
    try:
        head = Head(**json.loads(data[: data.rindex(b" ", 0, len(data.rstrip()))]))
        whole = all(type(part) is int and part >= 0 for part in (head.n, head.size, head.number, head.count))
        return head if whole and head.count % 2 == place and _slot(head).encode() == data else None
    except (ValueError, TypeError, RecursionError):
        return None
