"""Checks for `audit verify`, `audit anchor` and `doctor` that a home's records are as written.

Each part checks one kind of record. A function added to `_PARTS` shows up in all three commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from selfopt.errors import GateFailed, SelfoptError, StoreError, UsageError
from selfopt.home import ChainReport, SegmentsReport, counted, escape_control, read_seals, verify_segments
from selfopt.wiring.app import App
from selfopt.wiring.evidence import for_rules, verify_ledger

from .keys import list_keys
from .reporting import differing_renderings

__all__ = ["HomeReport", "Part", "anchor_of", "audit_anchor", "verify_audit", "verify_home", "verify_ledger", "verify_requests"]

_LOOKS = 3
_ANCHOR = re.compile(r"selfopt-anchor-1:([1-9][0-9]{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Part:
    """The check of one kind of record.

    Attributes:
        name: the kind, for people.
        said: what verifies, in one line, or where it fails.
        problems: what does not verify.
        notes: what is worth knowing but not wrong.
        facts: the whole report.
    """

    name: str
    said: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    facts: Any

    @property
    def ok(self) -> bool:
        """Whether all records of this kind are as written."""
        return not self.problems

    @property
    def key(self) -> str:
        """The part's name in JSON: the last word of `name`."""
        return self.name.split()[-1]


@dataclass(frozen=True, slots=True)
class HomeReport:
    """All parts, the audit trail first."""

    parts: tuple[Part, ...]

    @property
    def ok(self) -> bool:
        """Whether every part verifies."""
        return all(part.ok for part in self.parts)

    def part(self, name: str) -> Part:
        """Return the part of this name. KeyError when there is none."""
        return {part.name: part for part in self.parts}[name]


def anchor_of(text: str) -> tuple[int, str]:
    """Read an anchor: the number of records and the last one's hash. Raises UsageError."""
    match = _ANCHOR.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{escape_control(text, 100)!r} is no anchor; give a line that `selfopt audit anchor` printed, selfopt-anchor-1:COUNT:HASH"
        )
    return int(match[1]), match[2]


def audit_anchor(app: App) -> str:
    """Return one line to keep outside the home.

    With it, `verify_home` proves that no record until now was changed, however well the home is
    forged.

    Raises:
        UsageError: the audit trail is empty.
        GateFailed: the audit trail does not verify.
    """
    report = app.enforcer.trail.verify()
    if not report.ok:
        raise GateFailed(
            f"the audit trail does not verify ({report.reason}), so there is nothing to anchor; see `selfopt audit verify`"
        )
    if report.n == 0:
        raise UsageError("the audit trail is empty, so there is nothing to anchor yet")
    return f"selfopt-anchor-1:{report.n}:{report.head_hash}"


def verify_home(app: App, anchors: Sequence[str] = ()) -> HomeReport:
    """Check the audit trail, the rules and their versions, live requests, API keys and the ledger.

    Also lists the renderings that somebody changed. Damaged content is reported, not raised.

    Args:
        anchors: lines that `audit_anchor` returned earlier; the trail must contain each.

    Raises:
        UsageError: a text is no anchor.
        AuditError: a file cannot be read.
    """
    noted: dict[int, str] = {}
    for text in anchors:
        n, found = anchor_of(text)
        if noted.setdefault(n, found) != found:
            raise UsageError(f"two anchors of {n} records differ; at most one of them was printed for this home")
    return HomeReport(tuple(part(app, noted) for part in _PARTS))


def _trail(app: App, anchors: Mapping[int, str]) -> Part:
    report = app.enforcer.trail.verify(anchors=anchors)
    notes = list(report.notes)
    if report.torn_aside:
        notes.append(f"incomplete lines set aside earlier: {_joined(report.torn_aside)}")
    if report.ok:
        said = f"{counted(report.n, 'record')}, head {report.head_hash[:16]}" if report.n else "empty"
    else:
        said = f"at line {report.first_bad_line}" if report.first_bad_line else "as a whole"
    if anchors and report.ok:
        said += f", {counted(len(anchors), 'anchor')} met"
    return Part("audit trail", said, report.problems, tuple(notes), report)


def _rules(app: App, _: Mapping[int, str]) -> Part:
    report = app.enforcer.verify_rules()
    said = f"version {report.version} in force" if report.version else "none in force"
    said += f", {counted(report.versions, 'version')} kept" if report.versions else ""
    return Part("rules", said if report.ok else "as a whole", report.problems, report.notes, report)


def _requests(app: App, _: Mapping[int, str]) -> Part:
    report = verify_requests(app)
    said = f"{counted(report.n, 'record')} in {counted(report.segments, 'file')}"
    notes = []
    if report.unsealed:
        notes.append(f"not sealed to their end yet: {_joined(report.unsealed)}")
    if report.torn:
        notes.append(f"ending in an incomplete line, which was never durable: {_joined(report.torn)}")
    return Part("live requests", said if report.ok else "as a whole", report.problems, tuple(notes), report)


@dataclass(frozen=True, slots=True)
class KeysReport:
    """The gateway's API keys.

    Attributes:
        n: how many are valid.
        problems: where the file differs from the audit trail.
    """

    n: int
    problems: tuple[str, ...]


def _keys(app: App, _: Mapping[int, str]) -> Part:
    notes: tuple[str, ...] = ()
    try:
        checked = list_keys(app)
    except StoreError as error:
        report = KeysReport(0, (str(error),))
    else:
        report = KeysReport(sum(key.revoked_at is None for key in checked.keys), checked.problems)
        if checked.required and not report.n and not report.problems:
            notes = ("a gateway still asks for a key, because there were keys before; make one with `selfopt keys add NAME`",)
    said = f"{report.n} valid" if report.n else "none valid"
    return Part("API keys", said if not report.problems else "as a whole", report.problems, notes, report)


def _ledger(app: App, _anchors: Mapping[int, str]) -> Part:
    if for_rules(app):
        return Part("ledger", "not looked at", (), ("this user may read and add rules, and no records",), None)
    report = verify_ledger(app)
    if report.ok and report.older:
        with suppress(SelfoptError):  # opening lists and seals it as found; a note says if that fails
            _ = app.ledger
            report = verify_ledger(app)
    problems = [fault.sentence() for fault in report.faults]
    if report.n_faults > len(problems):
        problems.append(f"and {report.n_faults - len(problems):,} more faults of the ledger")
    notes: tuple[str, ...] = ()
    if report.unsealed:
        notes = (f"not sealed yet, because their writer is still at work or was killed: {counted(report.unsealed, 'commit')}",)
    said = "empty"
    if report.older:
        said = "written by an older selfopt"
        notes = ("it could not be opened for writing, so it is not listed and sealed yet, and nothing vouches for it",)
    elif report.commits:
        said = f"{counted(report.records, 'record')} and {counted(report.blobs, 'text')} in {counted(report.commits, 'commit')}"
    return Part("ledger", said if report.ok else "as a whole", tuple(problems), notes, report)


def _renderings(app: App, _: Mapping[int, str]) -> Part:
    try:
        differing = differing_renderings(app)
    except StoreError:  # another part reports the unreadable file
        differing = ()
    notes: tuple[str, ...] = ()
    if differing:
        notes = (
            f"not what the ledger and the trail say: {_joined(differing)}",
            "no decision reads these files; `selfopt report` and `selfopt feedback` write them again",
        )
    return Part("renderings", "nothing is read from them" if differing else "as written", (), notes, differing)


_PARTS: tuple[Callable[[App, Mapping[int, str]], Part], ...] = (_trail, _rules, _requests, _keys, _ledger, _renderings)


def verify_audit(app: App) -> ChainReport:
    """Check the audit trail and the rules that it seals."""
    return app.enforcer.verify()


def verify_requests(app: App) -> SegmentsReport:
    """Check the files of live requests against what the audit trail sealed.

    Raises:
        AuditError: a file cannot be read.
    """
    for _ in range(_LOOKS - 1):
        n = _size(app)
        report = _verify_requests(app)
        if report.ok or _size(app) == n:
            return report  # else a gateway sealed more in between, so look again
    return _verify_requests(app)


def _size(app: App) -> int:
    try:
        return app.home.audit_trail.stat().st_size
    except OSError:
        return 0


def _verify_requests(app: App) -> SegmentsReport:
    try:
        seals = read_seals(app.enforcer.trail)
    except StoreError as error:
        report = verify_segments(app.home.requests, ())
        return replace(report, ok=False, problems=(str(error), *report.problems))
    return verify_segments(app.home.requests, seals)


def _joined(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
