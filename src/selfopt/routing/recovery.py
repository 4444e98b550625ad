"""What a killed writer left behind.

A change is: audit records, version file, configuration file. The trail says which version was begun last; if that is newer
than the one in force, its writer died in between (or the configuration file was removed). With the version file there, sealed
by the hash of its last audit record, the version is completed: `version_completed`, then put in force. Without it, the
version is given up: `version_aborted`. The number of an aborted version is not used again.
"""

from __future__ import annotations

import contextlib

from selfopt.errors import StoreError
from selfopt.home import ChainedFile, Home
from selfopt.records import AuditRecord, RoutingConfig

from .store import read_config, read_version, rules_hash, version_path, write_config

__all__ = ["CHANGE_EVENTS", "abort", "is_edited", "is_pending", "last_change", "last_sealed", "repair"]

CHANGE_EVENTS = frozenset({"rule_added", "rule_changed", "rule_removed"})
_ABORTED, _COMPLETED = "version_aborted", "version_completed"


def last_change(trail: ChainedFile) -> AuditRecord | None:
    """The newest record about a version of the rules."""
    names = CHANGE_EVENTS | {_ABORTED, _COMPLETED}
    # Quotes inside a JSON string are escaped, so this finds keys only; a key of `details` is told apart by the parsed event.
    return next((r for r in trail.newest_first(b'"event":"') if r.event in names and r.config_version is not None), None)


def is_pending(change: AuditRecord | None, in_force: RoutingConfig | None) -> bool:
    """Whether the change was begun and is neither in force nor aborted."""
    if change is None or change.event == _ABORTED or change.config_version is None:
        return False
    return in_force is None or change.config_version > in_force.version


def is_edited(change: AuditRecord | None, in_force: RoutingConfig) -> bool:
    """Whether the configuration in force is another than the one that its version's last change sealed."""
    if change is None or change.event not in CHANGE_EVENTS or change.config_version != in_force.version:
        return False
    return change.details.get("config_hash") != rules_hash(in_force)


def last_sealed(trail: ChainedFile, version: int) -> AuditRecord | None:
    """The last change record of a version, which seals the version's content."""
    return next(
        (r for r in trail.newest_first(b'"event":"rule_') if r.event in CHANGE_EVENTS and r.config_version == version), None
    )


def repair(home: Home, trail: ChainedFile) -> RoutingConfig | None:
    """Complete or abort a change whose writer died. Call while holding the writers' lock. Returns what is in force then.

    Raises AuditError when that cannot be audited (nothing is changed then), StoreError when it cannot be written.
    """
    in_force = read_config(home.routing_config)
    change = last_change(trail)
    if change is None or change.config_version is None or not is_pending(change, in_force):
        if in_force is None and change is not None:
            return _restore_before_abort(home, trail)
        return in_force
    version = change.config_version
    sealed = last_sealed(trail, version)
    kept = _intact_version(home, version, sealed)
    if kept is None:
        trail.append(
            _ABORTED,
            reason=f"version {version} was begun and not kept by its writer; the rules before it stay in force",
            config_version=version,
        )
        return in_force if in_force is not None else _restore_before_abort(home, trail)
    if change.event != _COMPLETED:
        trail.append(
            _COMPLETED,
            reason=f"version {version} was audited and kept, but its writer did not put it in force",
            config_version=version,
        )
    write_config(home, kept)
    return kept


def abort(home: Home, trail: ChainedFile, config: RoutingConfig) -> None:
    """Give up a version whose files could not be written, as far as the disk allows: the next `repair` does the rest.

    Nothing is done when the version is in force after all (its file was renamed, and only making that durable failed).
    """
    with contextlib.suppress(StoreError, OSError):
        in_force = read_config(home.routing_config)
        if in_force is not None and in_force.version >= config.version:
            return
        version_path(home, config.version).unlink(missing_ok=True)
        trail.append(
            _ABORTED,
            reason=f"version {config.version} could not be written; the rules before it stay in force",
            config_version=config.version,
        )


def _intact_version(home: Home, version: int, sealed: AuditRecord | None) -> RoutingConfig | None:
    """The kept version when its content is what the trail sealed."""
    if sealed is None:
        return None
    try:
        kept = read_version(home, version)
    except StoreError:
        return None
    if kept is None or kept.audit_hash != sealed.hash or sealed.details.get("config_hash") != rules_hash(kept):
        return None
    return kept


def _restore_before_abort(home: Home, trail: ChainedFile) -> RoutingConfig | None:
    """The configuration file is gone, and the newest change was aborted: put the newest kept version in force again."""
    for record in trail.newest_first(b'"event":"rule_'):
        if record.event in CHANGE_EVENTS and record.config_version is not None:
            kept = _intact_version(home, record.config_version, record)
            if kept is not None:
                trail.append(
                    _COMPLETED,
                    reason=f"the routing configuration was missing; version {kept.version} is in force again",
                    config_version=kept.version,
                )
                write_config(home, kept)
                return kept
    return None
