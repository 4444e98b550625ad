"""Writes suites into the user's folder: checked first, and each file as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfopt.errors import StoreError, SuiteError
from selfopt.home import atomic_write_text, readable_json
from selfopt.home.files import fsync_directory
from selfopt.records import Suite

from .check import NAME, printable
from .load import MAX_SIZE_BYTES, SUFFIXES, SUITE_SCHEMA_VERSION, list_suites, load_suite, parse_suite


def check_new_name(name: str, folder: Path | None) -> None:
    """Raise SuiteError if the name is invalid, built in, or already in the folder, if one is given."""
    if not NAME.fullmatch(name) or name.endswith(SUFFIXES):
        raise SuiteError(
            f"{printable(name)!r} cannot be a suite's name; use up to 64 letters, digits, '_', '-', '.', without a file's suffix"
        )
    if name in list_suites():
        raise SuiteError(f"suite {name} is built in; choose another name")
    if folder is None:
        return
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").exists():
            raise SuiteError(f"suite {name} already exists ({folder / name}{suffix}); choose another name, or remove that file")


def store_suite(folder: Path, name: str, text: str, *, suffix: Literal[".yaml", ".json"] = ".yaml") -> Path:
    """Write the text of a suite into the folder as `NAME.yaml` or `NAME.json`. Returns the path.

    Raises:
        SuiteError: the text is no usable suite of this name, is too large, or the name is taken.
            Nothing is written then, and nothing is ever replaced.
        StoreError: the file can't be written.
    """
    check_new_name(name, folder)
    _check_text(name, text, suffix)
    path = folder / f"{name}{suffix}"
    _write(path, text)
    return path


def _check_text(name: str, text: str, suffix: str) -> Suite:
    """Read the text as a suite.

    Raises SuiteError if it has another name or is too large to be read again.
    """
    size, most = len(text.encode("utf-8", "replace")), MAX_SIZE_BYTES[suffix]
    if size > most:
        raise SuiteError(f"suite {name} would have {size} bytes, but at most {most} are read; import it in parts")
    suite = parse_suite(text, source=f"suite {name}", as_json=suffix == ".json")
    if suite.name != name:
        raise SuiteError(f"suite {name}: gives itself the name {printable(suite.name)!r}; make them the same")
    return suite


def _write(path: Path, text: str) -> None:
    folder, name = path.parent, path.stem
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_text(path, text, within=folder.parent, replace=False)
    except FileExistsError:
        raise SuiteError(f"suite {name} already exists ({path}); choose another name, or remove that file") from None
    except OSError as error:
        raise StoreError(f"could not make the folder {folder}: {error.strerror}; check its permissions") from error


@dataclass(frozen=True, slots=True)
class StoredSuite:
    """A stored suite. `unchanged` means that the folder already had the same content."""

    suite: Suite
    path: Path
    state: Literal["new", "replaced", "unchanged"]


def store_suites(folder: Path, suites: Sequence[Suite], *, replace: bool = False) -> list[StoredSuite]:
    """Write imported suites into the folder as `NAME.json`: all of them or none.

    Args:
        folder: the user's folder of suites.
        suites: the suites.
        replace: whether to replace suites of the same name and other content.

    Raises:
        SuiteError: a suite is unusable, or its name is built in or (without `replace`) taken.
        StoreError: the folder can't be written.
    """
    if len({suite.name for suite in suites}) < len(suites):
        raise SuiteError("two of the imported suites have the same name; give each a name of its own")
    texts = [_json_of(suite) for suite in suites]
    states = [_state_of(folder, _check_text(s.name, text, ".json"), replace) for s, text in zip(suites, texts, strict=True)]
    stored = [StoredSuite(s, folder / f"{s.name}.json", state) for s, state in zip(suites, states, strict=True)]
    _write_all({one.path: text for one, text in zip(stored, texts, strict=True) if one.state != "unchanged"}, folder)
    return stored


def _write_all(texts: Mapping[Path, str], folder: Path) -> None:
    """Write all files into a temporary folder, then move them.

    A full disk leaves everything as it was.
    """
    if not texts:
        return
    if folder.is_symlink():
        raise StoreError(f"{folder} is a symbolic link, and those are not followed for writing; make it a folder")
    staging = folder / f".import-{os.urandom(6).hex()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, text in texts.items():
            _write(staging / path.name, text)
        for path in texts:
            os.replace(staging / path.name, path)
        fsync_directory(folder)
    except OSError as error:
        raise StoreError(f"could not write into {folder}: {error.strerror}; check space and permissions") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _json_of(suite: Suite) -> str:
    body = {"schema_version": SUITE_SCHEMA_VERSION, **suite.model_dump(mode="json", exclude_defaults=True)}
    return readable_json(body, compact=True) + "\n"


def _state_of(folder: Path, suite: Suite, replace: bool) -> Literal["new", "replaced", "unchanged"]:
    there = folder / f"{suite.name}.json"
    if suite.name in list_suites() or not there.exists():
        check_new_name(suite.name, folder)
        return "new"
    try:
        if load_suite(suite.name, folder) == suite:
            return "unchanged"
    except SuiteError:
        pass  # a damaged file, or one of another version, has other content
    if not replace:
        raise SuiteError(
            f"suite {suite.name} already exists with other content ({there}), which measurements may have used; "
            "give --replace to replace it"
        )
    return "replaced"
