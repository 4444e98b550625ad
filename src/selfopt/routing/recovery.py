"""What a killed writer left behind.

A change is: audit records, version file, configuration file. Where the trail tells of a version that is newer than the one in
force, its writer died in between. With the version file there, as it was sealed, the version is completed:
`version_completed`, then put in force. Without it, the version is given up: `version_aborted`. The number of an aborted version
is not used again.
"""

from __future__ import annotations

import contextlib

from selfopt.errors import StoreError
from selfopt.home import ChainedFile, Home
from selfopt.records import RoutingConfig

from .in_force import InForce, look
from .store import read_config, version_path, write_config
from .versions import ABORTED, COMPLETED


def repair(home: Home, trail: ChainedFile) -> InForce:
    """Complete or give up changes whose writer died, and put back what replaced the rules in force. Call while holding the
    writers' lock. Returns what is in force then.

    Raises AuditError when that cannot be audited (nothing is changed then) and as `look`, StoreError when it cannot be written.
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
    """Give up a version whose files could not be written, as far as the disk allows: the next `repair` does the rest.

    Nothing is done when the version is in force after all (its file was renamed, and only making that durable failed).
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
