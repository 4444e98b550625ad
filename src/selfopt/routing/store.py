"""Reading and writing routing_config.json and its versions."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from selfopt.errors import CorruptError
from selfopt.home import Home, atomic_write_text, escape_control, read_json_file
from selfopt.records import ROUTING_SCHEMA_VERSION, RoutingConfig, content_hash

__all__ = [
    "clear_temporaries",
    "config_text",
    "first_problem",
    "read_config",
    "read_version",
    "rules_hash",
    "version_numbers",
    "version_path",
    "write_config",
    "write_version",
]


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong, with its place: `rules[1].phase: Input should be 'atomic' or 'extended'`."""
    problem = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    return escape_control(f"{place or 'the whole'}: {problem['msg']}", 300)


def config_text(config: RoutingConfig) -> str:
    """The one text form on disk."""
    return json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def rules_hash(config: RoutingConfig) -> str:
    """Hash of everything but the audit hash: what the audit trail seals before it is put in force."""
    return content_hash("config", config.model_dump(mode="json", exclude={"audit_hash"}))


def _read(path: Path, what: str) -> RoutingConfig:
    body = read_json_file(path, what=what, schema_version=ROUTING_SCHEMA_VERSION)
    try:
        return RoutingConfig.model_validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        raise CorruptError(
            f"{what} {path} does not fit its schema ({first_problem(error)}); it is left as it is: "
            "move it aside and repeat the command, and the newest version of routing_versions is restored"
        ) from None


def read_config(path: Path) -> RoutingConfig | None:
    """The configuration; None when the file is missing.

    Raises CorruptError, NewerSchemaError or StoreError, each naming the file; it is never overwritten then.
    """
    try:
        return _read(path, "the routing configuration")
    except FileNotFoundError:
        return None


def version_path(home: Home, version: int) -> Path:
    """Where a version is kept."""
    return home.routing_versions / f"{version}.json"


def read_version(home: Home, version: int) -> RoutingConfig | None:
    """One kept version; None when there is none. Raises as `read_config`."""
    try:
        config = _read(version_path(home, version), f"version {version} of the routing configuration")
    except FileNotFoundError:
        return None
    if config.version != version:
        raise CorruptError(f"{version_path(home, version)} says that it is version {config.version}; restore it or move it aside")
    return config


def version_numbers(home: Home) -> tuple[int, ...]:
    """The numbers of the kept versions, ascending."""
    if not home.routing_versions.is_dir():
        return ()
    names = (path.stem for path in home.routing_versions.glob("*.json"))
    return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 12))


def write_config(home: Home, config: RoutingConfig) -> None:
    """Put a configuration in force, atomically. StoreError when it cannot be written; the old one is then in force."""
    atomic_write_text(home.routing_config, config_text(config), within=home.root)


def write_version(home: Home, config: RoutingConfig) -> None:
    """Keep a version. StoreError when it cannot be written."""
    atomic_write_text(version_path(home, config.version), config_text(config), within=home.root)


def clear_temporaries(home: Home) -> None:
    """Remove what a killed writer left half-written. Call while holding the writers' lock."""
    for folder, pattern in ((home.root, f".{home.routing_config.name}.*.tmp"), (home.routing_versions, ".*.json.*.tmp")):
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)
