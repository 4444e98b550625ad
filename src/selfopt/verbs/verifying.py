"""`audit verify`, `audit anchor` and `doctor`: whether what a home tells of the past is what was written.

A part is one kind of record. Whoever adds one adds a function to `_PARTS`, and all three tell of it.
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
from selfopt.wiring.evidence import verify_ledger

from .keys import list_keys
from .reporting import differing_renderings

__all__ = ["HomeReport", "Part", "anchor_of", "audit_anchor", "verify_audit", "verify_home", "verify_ledger", "verify_requests"]

_LOOKS = 3
_ANCHOR = re.compile(r"selfopt-anchor-1:([1-9][0-9]{0,17}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of record. name: for people; said: what verifies, in one line, or where it does not; problems: what does not; notes: what is worth
    knowing and not wrong; facts: the whole report."""

    name: str
    said: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    facts: Any

    @property
    def ok(self) -> bool:
        """Whether all of it is what was written."""
        return not self.problems

    @property
    def key(self) -> str:
        """Its name in JSON: the last word of `name`."""
        return self.name.split()[-1]


@dataclass(frozen=True, slots=True)
class HomeReport:
    """All parts, the audit trail first."""

    parts: tuple[Part, ...]

    @property
    def ok(self) -> bool:
        """Whether every part is what was written."""
        return all(part.ok for part in self.parts)

    def part(self, name: str) -> Part:
        """The part of this name. KeyError."""
        return {part.name: part for part in self.parts}[name]


def anchor_of(text: str) -> tuple[int, str]:
    """(number of records, hash of the last of them) of an anchor that was noted. UsageError for anything else."""
    match = _ANCHOR.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{escape_control(text, 100)!r} is no anchor; it is what `selfopt audit anchor` printed, selfopt-anchor-1:COUNT:HASH"
        )
    return int(match[1]), match[2]


def audit_anchor(app: App) -> str:
    """One line to keep elsewhere: whoever has it can prove that nothing of the past until now was changed, however well the home was
    forged (`verify_home`). UsageError for an empty trail, GateFailed for one that does not verify."""
    report = app.enforcer.trail.verify()
    if not report.ok:
        raise GateFailed(
            f"the audit trail does not verify ({report.reason}), so there is nothing to anchor; see `selfopt audit verify`"
        )
    if report.n == 0:
        raise UsageError("the audit trail is empty: there is nothing to anchor yet")
    return f"selfopt-anchor-1:{report.n}:{report.head_hash}"


def verify_home(app: App, anchors: Sequence[str] = ()) -> HomeReport:
    """Check everything that vouches for the past: the audit trail with its head, the rules with all of their versions, the live
    requests, the API keys, the ledger; and say which renderings of them somebody changed.

    anchors: what `audit_anchor` gave earlier; the trail must hold each. Never raises for damaged content. UsageError for what is
    no anchor, AuditError when a file cannot be read.
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
    """The gateway's API keys. n: those that are valid; problems: where the file is not what the audit trail bears out."""

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
            notes = ("a gateway asks for one all the same, since there were keys: `selfopt keys add NAME` makes one",)
    said = f"{report.n} valid" if report.n else "none valid"
    return Part("API keys", said if not report.problems else "as a whole", report.problems, notes, report)


def _ledger(app: App, _anchors: Mapping[int, str]) -> Part:
    report = verify_ledger(app)
    if report.ok and report.older:
        with suppress(SelfoptError):  # lists and seals it as it is found; where that is not possible, a note says so
            _ = app.ledger
            report = verify_ledger(app)
    problems = [fault.sentence() for fault in report.faults]
    if report.n_faults > len(problems):
        problems.append(f"and {report.n_faults - len(problems):,} more faults of the ledger")
    notes: tuple[str, ...] = ()
    if report.unsealed:
        notes = (f"not sealed yet, since their writer is at work or was killed: {counted(report.unsealed, 'commit')}",)
    said = "empty"
    if report.older:
        said = "written by an older selfopt"
        notes = ("it could not be opened for writing to list and seal it as it is found; until then nothing vouches for it",)
    elif report.commits:
        said = f"{counted(report.records, 'record')} and {counted(report.blobs, 'text')} in {counted(report.commits, 'commit')}"
    return Part("ledger", said if report.ok else "as a whole", tuple(problems), notes, report)


def _renderings(app: App, _: Mapping[int, str]) -> Part:
    try:
        differing = differing_renderings(app)
    except StoreError:  # what cannot be read is named by another part
        differing = ()
    notes: tuple[str, ...] = ()
    if differing:
        notes = (
            f"not what the ledger and the trail say: {_joined(differing)}",
            "nothing is decided by these files: `selfopt report` and `selfopt feedback` write them anew",
        )
    return Part("renderings", "nothing is read from them" if differing else "as written", (), notes, differing)


_PARTS: tuple[Callable[[App, Mapping[int, str]], Part], ...] = (_trail, _rules, _requests, _keys, _ledger, _renderings)


def verify_audit(app: App) -> ChainReport:
    """Check the audit trail and the rules that it seals."""
    return app.enforcer.verify()


def verify_requests(app: App) -> SegmentsReport:
    """Check the files of live requests, and that they hold what the audit trail sealed. AuditError when a file cannot be read."""
    for _ in range(_LOOKS - 1):
        n = _size(app)
        report = _verify_requests(app)
        if report.ok or _size(app) == n:
            return report  # else a seal came in between
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
