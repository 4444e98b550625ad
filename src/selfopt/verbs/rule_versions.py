"""The versions of the rules: what each changed, how two differ, and what a rollback would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pydantic import ValidationError

from selfopt.errors import AuditError
from selfopt.records import AuditRecord, Baseline, Phase, Recommendation, RoutingConfig, Rule, Spec, utc_now
from selfopt.routing import diff, version_records
from selfopt.wiring.app import App
from selfopt.wiring.evidence import ledger_or_none
from selfopt.words.rule_changes import ToldChange, told_change

from .set_names import set_names

_ABORTED = "version_aborted"


@dataclass(frozen=True, slots=True)
class ToldVersion:
    """One version of the rules.

    Attributes:
        cause: the command that made it. reason: what it said.
        aborted: it was begun and never in force.
    """

    version: int
    at: str
    cause: str
    reason: str
    changes: tuple[ToldChange, ...]
    in_force: bool
    aborted: bool


@dataclass(frozen=True, slots=True)
class ToldVersions:
    """Some versions, the newest first. more: whether there are older ones."""

    in_force: int
    versions: tuple[ToldVersion, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class VersionDifference:
    """How the rules of one version differ from those of another. Version 0 has no rules."""

    older: int
    newer: int
    changes: tuple[ToldChange, ...]


@dataclass(frozen=True, slots=True)
class NewStart:
    """What the next cycle starts from after a rollback, by the names of variants.

    after: None where the ledger does not know the spec.
    """

    model: str
    phase: Phase
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What a rollback would do now.

    Attributes:
        in_force: the version that it would replace.
        starts: what the next cycle would start from, where that changes.
        warm_ups: models and phases of which a warm-up would not be recommended again.
    """

    version: int
    in_force: int
    changes: tuple[ToldChange, ...]
    starts: tuple[NewStart, ...]
    warm_ups: tuple[tuple[str, Phase], ...]


def rule_versions(app: App, *, newer_than_first: int = 0, most: int = 20, about: tuple[str, str] | None = None) -> ToldVersions:
    """Versions of the rules, the newest first. Writes nothing.

    Args:
        newer_than_first: how many of the newest to leave out.
        about: a model and phase; only versions that changed its rules, and these changes alone.

    Raises:
        AuditError: a record that counts is damaged.
    """
    config = app.enforcer.load(repair_pending=False)
    trail = app.enforcer.trail
    found = _versions(version_records(trail), about) if app.home.audit_trail.exists() else iter(())
    taken = list(islice(found, newer_than_first, newer_than_first + most + 1))
    called = set_names(app, config.rules)
    told = tuple(_told(records, aborted, config.version, called) for records, aborted in taken[:most])
    return ToldVersions(config.version, told, len(taken) > most)


def _versions(records: Iterator[AuditRecord], about: tuple[str, str] | None) -> Iterator[tuple[list[AuditRecord], bool]]:
    """The changes of each version, oldest first, and whether it was given up. The newest version comes first."""
    given_up: set[int] = set()
    mine: list[AuditRecord] = []
    for record in records:
        version = record.config_version or 0
        if record.event == _ABORTED:
            given_up.add(version)
            continue
        if not record.event.startswith("rule_") or (about is not None and (record.original_model, record.phase) != about):
            continue
        if mine and mine[0].config_version != version:
            yield mine[::-1], mine[0].config_version in given_up
            mine = []
        mine.append(record)
    if mine:
        yield mine[::-1], mine[0].config_version in given_up


def _told(records: Sequence[AuditRecord], aborted: bool, in_force: int, called: Mapping[str, str]) -> ToldVersion:
    first = records[0]
    changes = (_told_record(record, called) for record in records)
    return ToldVersion(
        version=first.config_version or 0,
        at=first.timestamp,
        cause=str(first.details.get("cause", "")),
        reason=str(first.details.get("cause_reason", "")),
        changes=tuple(changes),
        in_force=first.config_version == in_force,
        aborted=aborted,
    )


def _told_record(record: AuditRecord, called: Mapping[str, str]) -> ToldChange:
    before, after = (_rule(record.details.get(side)) for side in ("before", "after"))
    if before is None and after is None:  # of a later version
        return ToldChange("changed", f"{record.original_model} {record.phase}", "", "", (record.event.replace("_", " "),))
    return told_change(before, after, called)


def _rule(body: Any) -> Rule | None:
    with suppress(ValidationError):
        return None if body is None else Rule.model_validate(body)
    return None


def version_difference(app: App, older: int, newer: int) -> VersionDifference:
    """How two versions differ.

    Raises:
        UsageError: a version is not kept.
        CorruptError: a version is not what was sealed.
    """
    first, second = app.enforcer.version(older), app.enforcer.version(newer)
    return VersionDifference(older, newer, _changes(app, first, second))


def _changes(app: App, before: RoutingConfig, after: RoutingConfig) -> tuple[ToldChange, ...]:
    called = set_names(app, (*before.rules, *after.rules))
    return tuple(told_change(change.before, change.after, called) for change in diff(before, after))


def rollback_preview(app: App, version: int) -> RollbackPreview:
    """What `roll_back` would do now. Writes nothing.

    Raises:
        UsageError: the version is not kept.
        CorruptError: the version is not what was sealed.
    """
    from selfopt.loop import rollback_records

    earlier = app.enforcer.version(version)
    try:
        current = app.enforcer.load(repair_pending=False)
    except AuditError:  # the rules are lost, and a rollback restores them
        current = RoutingConfig()
    ledger = ledger_or_none(app)
    records = rollback_records(ledger, current, earlier, utc_now(), app.settings.one_name)
    names = {
        spec_id: spec.variant.name
        for one in records
        if isinstance(one, Baseline)
        for spec_id in (one.spec_id, one.previous_spec_id)
        if spec_id is not None
        for spec in ledger.read(Spec, {"id": spec_id}, limit=1)
    }
    starts = tuple(
        NewStart(one.model, one.phase, names.get(one.previous_spec_id or ""), names.get(one.spec_id))
        for one in records
        if isinstance(one, Baseline)
    )
    warm_ups = tuple((one.model, one.phase) for one in records if isinstance(one, Recommendation))
    return RollbackPreview(version, current.version, _changes(app, current, earlier), starts, warm_ups)
