"""Reading and writing routing_config.json and its versions, and the JSON schema of that file.

`python -c "from selfopt.routing.store import *; SCHEMA_PATH.write_text(schema_text())"` rewrites
the shipped schema.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.errors import CorruptError, StoreError
from selfopt.home import Home, atomic_write_text, escape_control, is_temporary, read_json_file
from selfopt.home.files import open_private, reason_of, write_all
from selfopt.records import ROUTING_SCHEMA_VERSION, RoutingConfig, content_hash
from selfopt.records.earlier import routing_config

SCHEMA_PATH = Path(__file__).with_name("routing_config.schema.json")
VERSION_NAME = re.compile(r"[1-9][0-9]{0,9}\.json")


def routing_config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of routing_config.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | RoutingConfig.model_json_schema()


def schema_text() -> str:
    """The text of the shipped schema file."""
    return json.dumps(routing_config_schema(), indent=2, sort_keys=True) + "\n"


def parsed_config(body: dict[str, Any]) -> RoutingConfig:
    """The configuration in a parsed file of any schema version so far.

    Raises ValueError for others.
    """
    return RoutingConfig.model_validate_json(json.dumps(routing_config(body)), strict=True)


def first_problem(error: ValueError) -> str:
    """The first problem and its place: `rules[1].phase: Input should be 'atomic' or 'extended'`."""
    if not isinstance(error, ValidationError):
        return escape_control(str(error), 300)
    problem = error.errors(include_url=False, include_context=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    return escape_control(f"{place or 'the whole'}: {problem['msg']}", 300)


def config_text(config: RoutingConfig) -> str:
    """The text of a configuration on disk."""
    return json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def rules_hash(config: RoutingConfig) -> str:
    """The hash that the audit trail seals: of the whole configuration except its audit hash."""
    return content_hash("config", config.model_dump(mode="json", exclude={"audit_hash"}))


def _read(path: Path, what: str) -> RoutingConfig | None:
    try:
        return parsed_config(read_json_file(path, what=what, schema_version=ROUTING_SCHEMA_VERSION))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptError(
            f"{what} {path} does not fit its schema ({first_problem(error)}); it is left as it is: "
            "move it aside and repeat the command, and the newest version of routing_versions is restored"
        ) from None


def read_config(path: Path) -> RoutingConfig | None:
    """Reads the configuration; None if the file is missing.

    Raises:
        CorruptError, NewerSchemaError, StoreError: the file cannot be read. The message names it,
            and it is never overwritten.
    """
    return _read(path, "the routing configuration")


def version_path(home: Home, version: int) -> Path:
    """The file of a version."""
    return home.routing_versions / f"{version}.json"


def read_kept(home: Home, version: int) -> RoutingConfig | None:
    """Reads a kept version, sealed or not; None if there is none. Raises as `read_config`.

    Only `versions` may call it, because it judges what it reads.
    """
    return _read(version_path(home, version), f"version {version} of the routing configuration")


def version_numbers(home: Home) -> tuple[int, ...]:
    """The numbers of the kept versions, ascending."""
    return tuple(sorted(int(name[:-5]) for name in version_names(home) if VERSION_NAME.fullmatch(name)))


def version_names(home: Home) -> tuple[str, ...]:
    """The names of all files in the folder of versions, except those that are being written."""
    if not home.routing_versions.is_dir():
        return ()
    return tuple(sorted(name for name in os.listdir(home.routing_versions) if not is_temporary(name)))


def write_config(home: Home, config: RoutingConfig) -> None:
    """Writes the configuration file atomically. If it raises StoreError, the old file stays."""
    atomic_write_text(home.routing_config, config_text(config), within=home.root)


def write_version(home: Home, config: RoutingConfig) -> None:
    """Writes the file of a version. Raises StoreError if that fails."""
    atomic_write_text(version_path(home, config.version), config_text(config), within=home.root)


def set_aside(home: Home) -> str:
    """Copies the configuration file and returns the name of the copy.

    Call it while holding the writers' lock. Raises StoreError if the copy cannot be written.
    """
    number = 1
    while home.routing_config.with_name(name := f"{home.routing_config.name}.aside-{number}").exists():
        number += 1
    try:
        descriptor = open_private(home.routing_config.with_name(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(descriptor, home.routing_config.read_bytes())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"could not keep {home.routing_config} as {name}: {reason_of(error)}") from error
    return name
