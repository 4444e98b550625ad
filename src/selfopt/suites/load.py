"""Reads suites: by name from the package or the user's folder, or by path."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import Suite

from .check import NAME, printable, validate_suite

SUITE_SCHEMA_VERSION = 1
SUFFIXES = (".yaml", ".yml", ".json")
# The largest files that are read. JSON takes a hundredth of the time that YAML takes.
MAX_SIZE_BYTES = {".yaml": 5_000_000, ".yml": 5_000_000, ".json": 16_000_000}


def list_suites(folder: Path | None = None) -> list[str]:
    """The names of the built-in suites, then those of the suites in the folder; each sorted."""
    return [*sorted(_built_in()), *sorted(_own(folder))]


def load_suite(name_or_path: str | Path, folder: Path | None = None) -> Suite:
    """Load a suite.

    Args:
        name_or_path: the name of a built-in suite or of a file in the folder (`NAME.yaml` or
            `NAME.json`), or a path: a Path, or a text with a slash or a YAML or JSON suffix.
        folder: the user's folder of suites.

    Raises:
        SuiteError: the suite is unusable. The message names the file, the prompt and the fix.
    """
    data, source, name = _find(name_or_path, folder)
    suite = suite_from(data, source=source)
    if name not in (None, suite.name):
        raise _refusal(source, [_misnamed(suite.name, name)])
    return suite


def find_problems(name_or_path: str | Path, folder: Path | None = None) -> list[str]:
    """List every problem of a suite; empty if it is usable. For the arguments see `load_suite`.

    Raises:
        SuiteError: there is nothing to examine: no such file, not UTF-8, no YAML, no mapping, or
            another schema version.
    """
    data, source, name = _find(name_or_path, folder)
    suite, problems = _examine(data, source)
    if suite is not None and name not in (None, suite.name):
        return [_misnamed(suite.name, name), *problems]
    return problems


def _misnamed(found: str, wanted: str | None) -> str:
    """Records name a suite by its own `name`, so that has to be the name it is found by."""
    return f"name: is {printable(found)}, but the file is found as {wanted}; make them the same"


def _find(name_or_path: str | Path, folder: Path | None) -> tuple[Any, str, str | None]:
    """Find a suite.

    Returns its data, what messages call it, and the name it must have (None for any).
    """
    own: dict[str, Path] = {}
    if isinstance(name_or_path, str):
        built_in = _built_in()
        if name_or_path in built_in:
            source = f"suite {name_or_path}"
            return data_of(built_in[name_or_path].read_text("utf-8"), source), source, None
        own = _own(folder)
        if (
            name_or_path not in own
            and not name_or_path.endswith(SUFFIXES)
            and "/" not in name_or_path
            and "\\" not in name_or_path
        ):
            yours = f"yours are {', '.join(sorted(own)[:12])}; " if own else ""
            raise SuiteError(
                f"unknown suite {printable(name_or_path)!r}; built in are {', '.join(sorted(built_in))}; {yours}"
                "name a suite of your own by the path of its .yaml file, or by its name once it is in the home's suites"
            )
    name = str(name_or_path) if name_or_path in own else None
    path = own[name] if name is not None else Path(name_or_path)
    source = printable(str(path))
    return data_of(_read(path), source, as_json=path.suffix == ".json"), source, name


def find_suite_file(name: str, folder: Path) -> Path | None:
    """The file of the suite with this name in the folder; None if there is none."""
    return _own(folder).get(name)


def _own(folder: Path | None) -> dict[str, Path]:
    """The suite files of a folder by name. A file with the name of a built-in suite is left out."""
    if folder is None or not folder.is_dir():
        return {}
    try:
        files = [f for f in sorted(folder.iterdir()) if f.suffix in SUFFIXES and NAME.fullmatch(f.stem)]
    except OSError as error:
        raise SuiteError(f"{printable(str(folder))}: cannot be read ({error.strerror}); check its permissions") from error
    built_in = _built_in()
    found: dict[str, Path] = {}
    for file in files:
        if file.stem in found:
            raise SuiteError(f"{printable(str(folder))}: both {found[file.stem].name} and {file.name}; remove or rename one")
        if file.stem not in built_in:
            found[file.stem] = file
    return found


def parse_suite(text: str, *, source: str, as_json: bool = False) -> Suite:
    """Read a suite from a YAML or JSON text, which messages call `source`.

    Raises SuiteError like `load_suite`.
    """
    return suite_from(data_of(text, source, as_json=as_json), source=source)


def suite_from(data: Any, *, source: str) -> Suite:
    """Make a suite from data. Raises SuiteError like `load_suite`."""
    suite, problems = _examine(data, source)
    if suite is None or problems:
        raise _refusal(source, problems)
    return suite


def data_of(text: str, source: str, *, as_json: bool = False, aliases: bool = False) -> Any:
    """Read the data of a YAML or JSON text.

    Raises SuiteError, which names the source and what is wrong.

    Args:
        text: the text.
        source: what messages call it.
        as_json: whether it is JSON.
        aliases: whether YAML may have aliases.
    """
    try:
        return read_plain_json(text) if as_json else read_plain_yaml(text, aliases=aliases)
    except (PlainJsonError, PlainYamlError) as error:
        raise SuiteError(f"{source}: {printable(str(error))}") from error


def _examine(data: Any, source: str) -> tuple[Suite | None, list[str]]:
    """Returns the suite (None if the data has another shape) and every problem.

    Raises SuiteError if it is no mapping.
    """
    if not isinstance(data, dict):
        raise SuiteError(f"{source}: holds no mapping; start with name, phase, tool_sets and prompts (docs/SUITES.md)")
    _check_version(data.pop("schema_version", SUITE_SCHEMA_VERSION), source)
    try:
        suite = Suite.model_validate(data)
    except ValidationError as error:
        return None, list(_schema_problems(error, data))
    return suite, validate_suite(suite)


def suite_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a suite file, for editors."""
    schema = Suite.model_json_schema()
    properties = {"schema_version": {"const": SUITE_SCHEMA_VERSION, "title": "Schema Version"}, **schema["properties"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "properties": properties}


def _built_in() -> dict[str, Traversable]:
    folder = resources.files("selfopt.suites") / "data"
    return {item.name[:-5]: item for item in folder.iterdir() if item.name.endswith(".yaml")}


def _read(path: Path) -> str:
    shown = printable(str(path))
    max_bytes = MAX_SIZE_BYTES.get(path.suffix, MAX_SIZE_BYTES[".yaml"])
    try:
        # A pipe or a device could block or never end, so check the kind of file before opening it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SuiteError(f"{shown}: not a regular file; give the path of a .yaml file")
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise SuiteError(f"{shown}: no such file; built-in suites are {', '.join(list_suites())}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SuiteError(f"{shown}: cannot be read ({reason}); check the path and its permissions") from error
    if len(raw) > max_bytes:
        raise SuiteError(f"{shown}: larger than {max_bytes} bytes; split the suite")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError(f"{shown}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def _check_version(version: Any, source: str) -> None:
    if type(version) is int and version == SUITE_SCHEMA_VERSION:
        return
    if type(version) is int and version > SUITE_SCHEMA_VERSION:
        raise SuiteError(
            f"{source}: schema_version {printable(str(version))} is newer than {SUITE_SCHEMA_VERSION}, the newest that "
            "this version understands; update selfopt"
        )
    raise SuiteError(f"{source}: schema_version is {printable(repr(version))}, allowed: {SUITE_SCHEMA_VERSION}; correct it")


def _schema_problems(error: ValidationError, data: dict[str, Any]) -> Iterator[str]:
    for item in error.errors(include_url=False, include_context=False):
        location = [part for part in item["loc"] if not (isinstance(part, str) and part.startswith(("tuple[", "literal[")))]
        if item["type"] == "literal_error" and "expected" in location and _expected_is_list(data, location):
            continue  # the other branch of the union reports the cause
        yield f"{_where(data, location)}: {_plain(item)}"


def _expected_is_list(data: dict[str, Any], location: list[int | str]) -> bool:
    prompt = data["prompts"][location[1]]
    return isinstance(prompt, dict) and isinstance(prompt.get("expected"), list)


def _where(data: dict[str, Any], location: list[int | str]) -> str:
    rest = location
    prefix = ""
    if len(location) >= 2 and location[0] == "prompts" and isinstance(location[1], int):
        entry = data["prompts"][location[1]]
        name = entry.get("id") if isinstance(entry, dict) else None
        prefix = f"prompt {printable(name)}" if isinstance(name, str) else f"prompt number {location[1] + 1}"
        rest = location[2:]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest).lstrip(".")
    return printable(": ".join(part for part in (prefix, path) if part)) or "suite"


def _plain(item: Any) -> str:
    kind = item["type"]
    if kind == "missing":
        return "missing; add it"
    if kind == "extra_forbidden":
        return "unknown key; remove it or correct its spelling (docs/SUITES.md lists the keys)"
    message = item["msg"]
    got = printable(repr(item["input"]))
    return f"{message[:1].lower()}{message[1:]}, got {got}; correct it"


def _refusal(source: str, problems: list[str]) -> SuiteError:
    rest = f" (and {len(problems) - 1} more: selfopt suites validate lists them)" if len(problems) > 1 else ""
    return SuiteError(f"{source}: {problems[0]}{rest}")
