"""Checks that the rules in force, and every kept version, are what the audit trail sealed."""

from __future__ import annotations

import os
from dataclasses import dataclass

from selfopt.errors import StoreError
from selfopt.home import ChainedFile, Home, escape_control

from .in_force import InForce, look
from .store import VERSION_NAME, version_names
from .versions import VersionSeals

_LOOKS = 5


@dataclass(frozen=True, slots=True)
class RulesReport:
    """The result of `verify_rules`.

    Attributes:
        version: the version in force; 0 without rules, None if no rules can be in force.
        versions: the number of kept versions that are what the trail sealed.
        problems: everything that is wrong.
        notes: what is worth knowing but not wrong.
    """

    ok: bool
    version: int | None
    versions: int
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def verify_rules(home: Home, trail: ChainedFile) -> RulesReport:
    """Checks the configuration in force and every version that the trail knows.

    Damaged content is reported, not raised.
    """
    for _ in range(_LOOKS - 1):
        before = _stamp(home, trail)
        report = _verify(home, trail)
        if report.ok or _stamp(home, trail) == before:
            return report  # otherwise a writer came in between
    return _verify(home, trail)


def _stamp(home: Home, trail: ChainedFile) -> list[tuple[int, int, int] | None]:
    found: list[tuple[int, int, int] | None] = []
    for path in (home.routing_config, trail.path):
        try:
            there = os.stat(path)
            found.append((there.st_mtime_ns, there.st_ino, there.st_size))
        except OSError:
            found.append(None)
    return found


def _verify(home: Home, trail: ChainedFile) -> RulesReport:
    problems: list[str] = []
    notes: list[str] = []
    found: InForce | None = None
    seals = VersionSeals(home, trail)
    try:
        found = look(home, trail, seals=seals)
        if found.said:
            problems.append(found.said)
    except StoreError as error:
        problems.append(str(error))
        seals = VersionSeals(home, trail)  # a damaged trail may have been read only in part
    try:
        intact = _check_versions(home, seals, found, problems, notes)
    except StoreError as error:
        intact = 0
        problems.append(f"the versions of the rules cannot be checked: {error}")
    told = tuple(dict.fromkeys(problems))
    return RulesReport(not told, found.config.version if found is not None else None, intact, told, tuple(notes))


def _check_versions(home: Home, seals: VersionSeals, found: InForce | None, problems: list[str], notes: list[str]) -> int:
    """Adds to problems and notes, and returns the number of versions that are what was sealed."""
    intact = 0
    known: set[int] = set()
    for seal in seals.newest_first():
        known.add(seal.version)
        if seal.aborted:
            continue
        kept = seals.read(seal.version)
        begun = found is not None and found.pending and seal.version > found.config.version and not seal.completed
        if kept.state == "intact":
            intact += 1
        elif not begun:
            problems.append(f"version {seal.version} of the rules is not what it was: {kept.why}")
        if begun:
            notes.append(
                f"version {seal.version} of the rules was begun: its writer is at work or was killed; the next command that reads the "
                "rules completes it or gives it up"
            )
    for name in version_names(home):
        shown = f"{home.routing_versions / escape_control(name, 80)}"
        if not VERSION_NAME.fullmatch(name):
            problems.append(f"{shown} is no version of the rules; move it out of that folder")
        elif int(name[:-5]) not in known:
            problems.append(f"{shown} is a version that the audit trail never sealed; move it out of that folder")
        elif (aborted := seals.of(int(name[:-5]))) is not None and aborted.aborted:
            problems.append(f"{shown} is of a version that was given up before it was in force; move it out of that folder")
    return intact
