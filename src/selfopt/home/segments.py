"""Live requests on disk. Each writer has a chain of its own, in numbered files that the audit trail
seals.

A line is `{"previous_hash":"...", ... ,"hash":"..."}`. Its hash is the SHA-256 of all bytes before
`,"hash"`, so that a check need not read the JSON. The first line of a file (kind `segment`) says
which file it is. What follows the last newline was never durable and is ignored. `<writer>.head`
says how far the writer has come, until the trail seals its last file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from selfopt.errors import AuditError

from .chain import GENESIS_HASH, AuditEvent, ChainedFile
from .files import is_regular, open_private, opened, reason_of
from .head import HeadFile
from .text import escape_control

SEGMENT_SCHEMA_VERSION = 1
SEALED_EVENT = "requests_sealed"
MAX_LINE_BYTES = 1_000_000
ANNOUNCED = b'"head_kept":true'
"""What the first line of a file contains when its writer keeps a head until the end of the file is
sealed.
"""
_NAME = re.compile(r"([0-9a-f]{4,32})-([1-9][0-9]{0,9})\.jsonl")
_START, _BEFORE_HASH, _END = b'{"previous_hash":"', b',"hash":"', b'"}\n'
_TAIL = len(_BEFORE_HASH) + 64 + len(_END)


def is_segment_name(name: str) -> bool:
    """Returns whether a file is called like one of live requests."""
    return _NAME.fullmatch(name) is not None


def segment_name(writer: str, number: int) -> str:
    """Returns the name of a writer's n-th file. writer: hex digits. number: from 1."""
    return f"{writer}-{number}.jsonl"


def chain_line(body: bytes, previous_hash: str) -> tuple[bytes, str]:
    """Returns the line, with its newline, and its hash. body: a JSON object with at least one
    member.
    """
    start = b'%s%s",%s' % (_START, previous_hash.encode(), body[1:-1])
    digest = hashlib.sha256(start).hexdigest()
    return b"%s%s%s%s" % (start, _BEFORE_HASH, digest.encode(), _END), digest


@dataclass(frozen=True, slots=True)
class Seal:
    """What the audit trail says of a file: its n-th line has this hash."""

    segment: str  # the file's name
    n: int
    head_hash: str
    final: bool  # that line is the last one
    torn_bytes: int | None = None  # size of what followed the last line when it was sealed; None when nobody looked

    def event(self, why: str) -> AuditEvent:
        """Returns the event that tells the audit trail. why: rotation, close, ..."""
        reason = f"{why}: {self.n} lines of {self.segment}"
        details = {"segment": self.segment, "n": self.n, "head_hash": self.head_hash, "final": self.final}
        if self.torn_bytes is not None:
            details["torn_bytes"] = self.torn_bytes
        return AuditEvent(SEALED_EVENT, {"reason": reason, "details": details})


def read_seals(trail: ChainedFile) -> list[Seal]:
    """Returns every seal in the trail, oldest first.

    Raises AuditError when the trail is damaged.
    """
    seals = []
    for record in trail.newest_first(f'"event":"{SEALED_EVENT}"'.encode()):
        told = record.details
        try:
            torn = None if told.get("torn_bytes") is None else int(told["torn_bytes"])
            seals.append(Seal(str(told["segment"]), int(told["n"]), str(told["head_hash"]), bool(told["final"]), torn))
        except (KeyError, TypeError, ValueError):
            raise AuditError(f"a seal of requests in {trail.path} cannot be read; see `selfopt audit verify`") from None
    return seals[::-1]


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """What a check of one file found."""

    n: int  # intact lines before the first bad one
    previous_hash: str  # the hash that the first line follows
    head_hash: str  # of the last intact line
    fault: str  # what is wrong with the next line; "" when nothing is
    torn_bytes: int = 0  # size of the incomplete line at the end
    announced: bool = False  # the file says that its writer keeps a head


@dataclass(frozen=True, slots=True)
class SegmentsReport:
    """What a check of all files found."""

    ok: bool
    n: int  # intact records, without the first line of each file
    segments: int  # files
    problems: tuple[str, ...] = ()
    unsealed: tuple[str, ...] = ()  # files whose end is not sealed yet: in use, or left by a process that died
    torn: tuple[str, ...] = ()  # sealed files that end in an incomplete line


def verify_segment(path: Path, sealed: Mapping[int, str] | None = None, *, previous_hash: str | None = None) -> SegmentReport:
    """Check every line of a file. Raises AuditError when it cannot be read.

    Args:
        sealed: the hashes that lines must have, by their number from 1.
        previous_hash: the hash that the first line must follow; None accepts any.
    """
    sealed = sealed or {}
    n, head, first, fault, torn, announced = 0, previous_hash, previous_hash or "", "", 0, False
    for line in _lines(path):
        if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
            torn = len(line)
            break
        fault = _fault(line, head) if n else _fault_of_first(line, head, path)
        if not fault:
            n += 1
            head = line[-67:-3].decode()
            if n == 1:
                first = line[len(_START) : len(_START) + 64].decode()
                announced = ANNOUNCED in line
            if n in sealed and sealed[n] != head:
                fault, n = "it is not the line that was sealed", n - 1
        if fault:
            break
    return SegmentReport(n, first or GENESIS_HASH, (head or GENESIS_HASH) if n else GENESIS_HASH, fault, torn, announced)


def _fault(line: bytes, head: str | None) -> str:
    if line[-_TAIL:-67] != _BEFORE_HASH or line[-3:] != _END or line[: len(_START)] != _START:
        return "it is not a record" if len(line) <= MAX_LINE_BYTES else f"it is longer than {MAX_LINE_BYTES} bytes"
    if hashlib.sha256(line[:-_TAIL]).hexdigest().encode() != line[-67:-3]:
        return "its hash does not fit its content"
    if head is not None and line[len(_START) : len(_START) + 65] != b'%s"' % head.encode():
        return "its previous_hash is not the hash of the line before"
    return ""


def _fault_of_first(line: bytes, head: str | None, path: Path) -> str:
    fault = _fault(line, head)
    if fault:
        return fault
    try:
        told: dict[str, Any] = msgspec.json.decode(line, type=dict)
        schema, name = int(told["schema_version"]), segment_name(str(told["writer"]), int(told["number"]))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError):
        return "it does not say which file this is"
    if schema > SEGMENT_SCHEMA_VERSION:
        return f"it has schema version {schema}, this selfopt reads up to {SEGMENT_SCHEMA_VERSION}; update selfopt"
    return "" if name == path.name else f"it says that its name is {escape_control(name, 80)}"


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open(open_private(path, os.O_RDONLY), "rb", buffering=1 << 20) as file:
            if not is_regular(file.fileno()):
                raise AuditError(f"{path} is not a regular file; move it aside")
            left = os.fstat(file.fileno()).st_size
            while left > 0 and (line := file.readline(min(left, MAX_LINE_BYTES + 1))):
                left -= len(line)
                yield line
    except OSError as error:
        raise AuditError(f"could not read the requests in {path}: {reason_of(error)}") from error


class _Sealed:
    """What the files must hold according to the audit trail and the heads of their writers."""

    def __init__(self, folder: Path, seals: Iterable[Seal]) -> None:
        self.lines: dict[str, dict[int, str]] = {}
        self.ends: dict[str, Seal] = {}
        self.headed: set[str] = set()
        self.problems: list[str] = []
        for seal in seals:
            self.lines.setdefault(seal.segment, {})[seal.n] = seal.head_hash
            end = self.ends.get(seal.segment)
            if end is not None and seal.n > end.n:
                self.problems.append(f"{seal.segment} was sealed to its end at {end.n} lines, and again at {seal.n}")
            elif seal.final:
                self.ends[seal.segment] = seal
        for path in sorted(folder.glob("*.head")):
            try:
                found = HeadFile(path).read()
            except AuditError as error:
                self.problems.append(str(error))
                self.headed.add(path.stem)
                continue
            if found is not None:
                head, fault = found
                self.headed.add(path.stem)
                self.problems += filter(None, (fault,))
                if head.n:
                    self.lines.setdefault(segment_name(path.stem, head.number), {})[head.n] = head.hash


def verify_segments(folder: Path, seals: Iterable[Seal]) -> SegmentsReport:
    """Check every writer's chain over all its files, against what the audit trail sealed and the
    writer's head.

    Damaged content is reported, not raised. Raises AuditError when a file cannot be read.
    """
    sealed = _Sealed(folder, seals)
    found, problems = _found(folder)
    problems += sealed.problems
    names = {segment_name(writer, number) for writer, numbers in found.items() for number in numbers}
    problems += [
        f"{name} is missing: {max(lines)} of its lines were sealed" for name, lines in sealed.lines.items() if name not in names
    ]
    n, unsealed, torn = 0, list[str](), list[str]()
    for writer, numbers in found.items():
        head: str | None = GENESIS_HASH
        for before, number in zip([0, *numbers], numbers, strict=False):
            name = segment_name(writer, number)
            if number != before + 1:
                problems.append(f"{segment_name(writer, before + 1)} is missing: {name} is there")
                head = None
            report = verify_segment(folder / name, sealed.lines.get(name), previous_hash=head)
            n += max(report.n - 1, 0)
            head = report.head_hash if not report.fault else None
            end = sealed.ends.get(name)
            wrong = _problems(folder / name, report, sealed.lines.get(name, {}), end)
            if end is None:
                unsealed.append(name)
                if (
                    report.announced
                    and writer not in sealed.headed
                    and number == numbers[-1]
                    and not is_being_written(folder / name)
                ):
                    wrong.append(f"{name} is not sealed, and the head of its writer, {writer}.head, is missing")
            elif report.torn_bytes and not wrong:
                torn.append(name)
            problems += wrong
    return SegmentsReport(not problems, n, len(names), tuple(problems), tuple(unsealed), tuple(torn))


def _problems(path: Path, report: SegmentReport, sealed: Mapping[int, str], end: Seal | None) -> list[str]:
    name = path.name
    if report.fault:
        return [f"{name} line {report.n + 1}: {report.fault}"]
    if sealed and max(sealed) > report.n:
        return [f"{name} was cut: {max(sealed)} of its lines were sealed, but only {report.n} are left"]
    if end is not None and report.n > end.n:
        return [f"{name} goes on after its end: the audit trail sealed {end.n} lines, but {report.n} are there"]
    if end is not None and end.torn_bytes is not None and end.torn_bytes != report.torn_bytes:
        return [
            f"{name} goes on after its end: the audit trail sealed {end.n} lines, and {end.torn_bytes} bytes of an incomplete one"
        ]
    if end is None and report.torn_bytes and not is_being_written(path):
        return [
            f"{name} ends in an incomplete line, and its writer is gone: that line was never durable, and the next `selfopt serve` "
            "seals the lines before it"
        ]
    return []


def is_being_written(path: Path) -> bool:
    """Returns whether a writer holds this file. Its end may then be half a line."""
    try:
        with opened(path, os.O_RDONLY) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _found(folder: Path) -> tuple[dict[str, list[int]], list[str]]:
    """Returns the numbers of each writer's files in order, and the problems of the folder."""
    found: dict[str, list[int]] = {}
    problems = []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise AuditError(f"could not read the folder {folder}: {reason_of(error)}") from error
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            found.setdefault(match[1], []).append(int(match[2]))
        elif name.endswith(".jsonl"):
            problems.append(f"{escape_control(name, 80)} is not a file of selfopt; move it out of {folder}")
    return {writer: sorted(numbers) for writer, numbers in found.items()}, problems
