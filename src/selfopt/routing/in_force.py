"""Which rules are in force, and what to do about a change whose writer was killed.

In force is the newest completed version, with exactly the content that the audit trail sealed.
`routing_config.json` should hold it. If that file holds anything else (an older version, or one
that somebody edited), the kept version counts instead. If neither is what the trail sealed, an
error says so.

A change writes the audit records, then the version file, then the configuration file. If the trail
knows a version that is newer than the one in force, its writer was killed in between. `repair`
completes that version if its file is what the trail sealed (`version_completed`), and gives it up
otherwise (`version_aborted`). The number of an aborted version is not used again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from selfopt.errors import AuditError, StoreError
from selfopt.home import ChainedFile, Home, escape_control
from selfopt.records import RoutingConfig

from .store import read_config, version_numbers, version_path, write_config
from .versions import ABORTED, COMPLETED, Version, VersionSeal, VersionSeals

_ASIDE = "to begin without them, see docs/ROLLBACK.md"


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules in force, and the state of the files.

    Attributes:
        config: the rules in force; version 0 if there are none.
        said: what is wrong with routing_config.json; "" if nothing is.
        refused: routing_config.json is not what is in force.
        put_back: routing_config.json is missing, or holds an older version that is also kept. It is
            to be replaced by what is in force.
        completed: the trail already has the record that this version was completed.
        sealed: the trail sealed these rules.
        pending: a newer version was begun. Its writer is still at work or was killed.
        given_up: versions that were begun but never kept. Set only if `look` is completing.
    """

    config: RoutingConfig
    said: str = ""
    refused: bool = False
    put_back: bool = False
    completed: bool = False
    sealed: bool = True
    pending: bool = False
    given_up: tuple[int, ...] = ()


def look(
    home: Home, trail: ChainedFile, *, at_least: int = 0, completing: bool = False, seals: VersionSeals | None = None
) -> InForce:
    """The rules in force, as the files are now. Writes nothing.

    Args:
        at_least: a version that is known to have been in force.
        completing: the caller holds the writers' lock, so nobody is still writing a version that
            was begun. Such a version counts if it was kept.
        seals: shared with a caller that also reads them.

    Raises:
        CorruptError, NewerSchemaError, StoreError: routing_config.json cannot be read.
        AuditError: no file holds what the trail sealed.
    """
    present = read_config(home.routing_config)  # read before the trail, because writers write it after the trail
    floor = max(at_least, trail.noted())
    seals = seals or VersionSeals(home, trail)
    judged = seals.judge(present) if present is not None and present.audit_hash else None
    given_up: list[int] = []
    pending = False
    for seal in seals.newest_first():
        if seal.aborted:
            continue
        if seal.version < floor:
            break
        if judged is not None and judged.config is not None and judged.number == seal.version:
            return InForce(judged.config, completed=seal.completed, pending=pending, given_up=tuple(given_up))
        claimed = present is not None and (judged is None or judged.config is None) and present.version >= seal.version
        begun = seal.version > floor and not seal.completed and not claimed
        kept = seals.read(seal.version)
        if kept.config is not None and (completing or not begun):
            return _kept(home, kept, seal, judged, present, pending=pending, given_up=tuple(given_up), floor=floor)
        if not begun:
            raise AuditError(
                f"version {seal.version} of the rules was in force, and no file holds it as the audit trail sealed it ({kept.why}; "
                f"{_of_present(home, present, judged)}): restore one of them from a copy, put an earlier version in force with "
                f"`selfopt routes rollback`, or, {_ASIDE}"
            )
        pending = True
        if completing:
            given_up.append(seal.version)
    return _without_versions(home, seals, present, floor, pending=pending, given_up=tuple(given_up))


def _kept(
    home: Home,
    kept: Version,
    seal: VersionSeal,
    judged: Version | None,
    present: RoutingConfig | None,
    *,
    pending: bool,
    given_up: tuple[int, ...],
    floor: int,
) -> InForce:
    assert kept.config is not None
    number, name = kept.number, home.routing_config
    if present is None:
        said, put_back = f"{name} is missing; version {number} of the rules is in force", True
    elif judged is not None and judged.config is not None:
        put_back = True
        said = f"{name} holds version {present.version}, which is older than version {number}; version {number} is in force"
        if seal.version > floor and not seal.completed:
            said = ""  # its writer was killed, so nobody did anything wrong
    else:
        put_back = False
        said = (
            f"{name} is not in force, since it is not what the audit trail sealed (it was edited by hand, or put there); version "
            f"{number} is, as it was sealed. Make the edit a version with `selfopt routes import {name}`, or take it back with "
            f"`selfopt routes rollback {number}`"
        )
    return InForce(
        kept.config,
        said=said,
        refused=present is not None and bool(said),
        put_back=put_back,
        completed=seal.completed,
        pending=pending,
        given_up=given_up,
    )


def _without_versions(
    home: Home, seals: VersionSeals, present: RoutingConfig | None, floor: int, *, pending: bool, given_up: tuple[int, ...]
) -> InForce:
    """The answer if the trail knows no version that was in force."""
    if floor:
        raise AuditError(
            f"version {floor} of the rules was in force, and the audit trail does not tell of it any more: it was cut, replaced or "
            f"removed, so no rules can be checked; see `selfopt audit verify`. Restore the trail from a copy, or, {_ASIDE}"
        )
    known = next(seals.newest_first(), None) is not None
    if present is None:
        if known or not version_numbers(home):
            return InForce(RoutingConfig(), pending=pending, given_up=given_up)
        raise AuditError(
            f"{home.root} has no routing configuration, and its audit trail does not tell of the kept versions: restore both from a "
            f"copy, or, {_ASIDE}"
        )
    if not present.audit_hash and not known and not version_numbers(home):
        how = f"make it a version with `selfopt routes import {home.routing_config}`"
        if home.was_found:  # whoever can write to the project can write to this folder
            said = f"{home.routing_config} is not in force, since no audit trail seals it; if you wrote it, {how}"
            return InForce(RoutingConfig(), said=said, refused=True)
        said = f"{home.routing_config} was made by hand, and no audit trail seals it; {how}"
        return InForce(present, said=said, sealed=False)
    raise AuditError(
        f"{home.routing_config} is not what the audit trail sealed (it was edited by hand, or the trail was cut, replaced or "
        f"removed), and no version that was sealed is kept; see `selfopt audit verify`. Make it a version of its own with "
        f"`selfopt routes import`, or, {_ASIDE}"
    )


def _of_present(home: Home, present: RoutingConfig | None, judged: Version | None) -> str:
    name = home.routing_config.name
    if present is None:
        return f"{name} is missing"
    if judged is not None and judged.config is not None:
        return f"{name} holds version {present.version}"
    return f"{name} is not sealed: {escape_control(judged.why, 200) if judged else 'it names no audit record'}"


def repair(home: Home, trail: ChainedFile) -> InForce:
    """Completes or gives up changes whose writer was killed, and restores routing_config.json.

    Call it while holding the writers' lock.

    Returns:
        What is in force afterwards.

    Raises:
        AuditError: the repair cannot be audited. Nothing is changed.
        StoreError: a file cannot be written.
    """
    found = look(home, trail, completing=True)
    for version in found.given_up:
        trail.append(
            ABORTED,
            reason=f"version {version} was begun and not kept by its writer; the rules before it stay in force",
            config_version=version,
        )
    version = found.config.version
    if found.put_back:
        if not found.completed:
            killed = f"version {version} was audited and kept, but its writer did not put it in force"
            trail.append(COMPLETED, reason=found.said or killed, config_version=version)
        write_config(home, found.config)
    if found.sealed and version > trail.noted():
        trail.note(version)
    return found


def abort(home: Home, trail: ChainedFile, config: RoutingConfig) -> None:
    """Gives up a version whose files could not be written, as far as the disk allows.

    The next `repair` does the rest. If the version is in force after all (its file was renamed, and
    only making that durable failed), nothing is done.
    """
    with contextlib.suppress(StoreError, OSError):
        in_force = read_config(home.routing_config)
        if in_force is not None and in_force.version >= config.version:
            return
        version_path(home, config.version).unlink(missing_ok=True)
        trail.append(
            ABORTED,
            reason=f"version {config.version} could not be written; the rules before it stay in force",
            config_version=config.version,
        )
