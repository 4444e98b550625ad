"""The only access to kept versions of the rules: is a file what the audit trail sealed?

The last change record of a version seals its content (`details.config_hash`), and the version names
that record (`audit_hash`). Whoever reads, rolls back, serves, repairs or verifies a version uses
`VersionSeals`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from selfopt.errors import StoreError
from selfopt.home import ChainedFile, Home
from selfopt.records import AuditRecord, RoutingConfig, ToolMatch
from selfopt.words.rules import when_text

from .store import read_kept, rules_hash, version_path

CHANGE_EVENTS = frozenset({"rule_added", "rule_changed", "rule_removed"})
ABORTED, COMPLETED = "version_aborted", "version_completed"
# Quotes inside a JSON string are escaped, so these match keys only. The parsed event rules out a key of `details`.
_RULES, _VERSIONS = b'"event":"rule_', b'"event":"version_'

VersionState = Literal["intact", "missing", "damaged", "changed", "aborted", "unsealed"]


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One version of the rules.

    Attributes:
        cause: the command that made it.
        in_force: whether it is the present version.
        aborted: whether it was begun but never in force.
    """

    version: int
    at: str
    cause: str
    reason: str
    changes: tuple[str, ...]
    in_force: bool
    aborted: bool


def version_records(trail: ChainedFile) -> Iterator[AuditRecord]:
    """What the trail says about versions of the rules, the newest first; what it says of requests is not read.

    Raises AuditError for a damaged record.
    """
    return (record for record in trail.newest_first(_RULES, _VERSIONS) if record.config_version is not None)


def history_of(records: Iterable[AuditRecord], in_force: int) -> tuple[VersionEntry, ...]:
    """Every version in these records, oldest first. in_force: the number of the present one."""
    found: dict[int, VersionEntry] = {}
    for record in records:
        version = record.config_version
        if version is not None and record.event in CHANGE_EVENTS:
            change = f"{record.event} {_about(record)}"
            entry = found.get(version) or VersionEntry(
                version=version,
                at=record.timestamp,
                cause=str(record.details.get("cause", "")),
                reason=str(record.details.get("cause_reason", "")),
                changes=(),
                in_force=version == in_force,
                aborted=False,
            )
            found[version] = replace(entry, changes=(*entry.changes, change))
        elif version in found and record.event == ABORTED:
            found[version] = replace(found[version], aborted=True)
    return tuple(found[version] for version in sorted(found))


def _about(record: AuditRecord) -> str:
    """What the rule is about that a record changes: `local/small atomic, calendar_* tools`."""
    about = f"{record.original_model} {record.phase}"
    body = record.details.get("after") or record.details.get("before") or {}
    when = body.get("when") if isinstance(body, dict) else None
    try:
        return f"{about}, {when_text(ToolMatch.model_validate(when))}" if when else about
    except ValueError:  # a later version's
        return about


@dataclass(frozen=True, slots=True)
class VersionSeal:
    """What the trail says about one version.

    Attributes:
        audit_hash: the hash of its last change record.
        config_hash: the hash of its content; "" if the record that seals it was never written.
        completed: a repair put it in force.
        aborted: it was given up and never in force.
    """

    version: int
    audit_hash: str
    config_hash: str
    completed: bool
    aborted: bool


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it was found. config: None unless intact. why: what is wrong, or ""."""

    number: int
    state: VersionState
    config: RoutingConfig | None = None
    why: str = ""


class VersionSeals:
    """The seals of a home's versions, read lazily from the end of the audit trail.

    Every record that counts is checked against its own hash. `ChainedFile.verify` checks that all
    records are linked. Each method raises AuditError for a damaged record.
    """

    def __init__(self, home: Home, trail: ChainedFile) -> None:
        self._home = home
        self._records: Iterator[AuditRecord] = trail.newest_first(_RULES, _VERSIONS)
        self._seals: dict[int, VersionSeal] = {}
        self._aborted: set[int] = set()
        self._completed: set[int] = set()

    def newest_first(self) -> Iterator[VersionSeal]:
        """Every version that was begun, newest first."""
        place = 0
        while True:
            known = tuple(self._seals.values())
            if place < len(known):
                yield known[place]
                place += 1
            elif not self._read_on():
                return

    def of(self, version: int) -> VersionSeal | None:
        """The seal of a version; None if the trail does not know it."""
        while version not in self._seals and self._read_on():
            pass
        return self._seals.get(version)

    def _read_on(self) -> bool:
        """Reads on to the next older version; False at the beginning of the trail."""
        for record in self._records:
            version = record.config_version
            if version is None:
                continue
            if record.event == ABORTED:
                self._aborted.add(version)
            elif record.event == COMPLETED:
                self._completed.add(version)
            elif record.event in CHANGE_EVENTS and version not in self._seals:
                sealed = str(record.details.get("config_hash") or "")
                self._seals[version] = VersionSeal(
                    version, record.hash, sealed, version in self._completed, version in self._aborted
                )
                return True
        return False

    def judge(self, config: RoutingConfig) -> Version:
        """Judges whether a configuration is what the trail sealed under its number."""
        number = config.version
        seal = self.of(number)
        if seal is None:
            return Version(number, "unsealed", why=f"the audit trail never sealed a version {number}")
        if seal.aborted:
            return Version(number, "aborted", why=f"version {number} was given up before it was in force")
        if seal.audit_hash != config.audit_hash or seal.config_hash != rules_hash(config):
            return Version(number, "changed", why=f"it is not what the audit trail sealed as version {number}")
        return Version(number, "intact", config)

    def read(self, number: int) -> Version:
        """Reads and judges a kept version. Never raises for the content of its file."""
        path = version_path(self._home, number)
        try:
            config = read_kept(self._home, number)
        except StoreError as error:
            return Version(number, "damaged", why=str(error))
        seal = self.of(number)
        if seal is not None and seal.aborted:
            return Version(number, "aborted", why=f"version {number} was given up before it was in force")
        if config is None:
            return Version(number, "missing", why=f"{path} is missing")
        if config.version != number:
            return Version(number, "changed", why=f"{path} says that it is version {config.version}")
        found = self.judge(config)
        return found if found.state == "intact" else Version(number, found.state, why=f"{path}: {found.why}")
