"""Writing suites into a folder of one's own: whole, checked before they are there, found by their names afterwards."""

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


def check_new_name(name: str, folder: Path) -> None:
    """SuiteError when no suite of this name can be put into the folder: not a name, built in, or there already."""
    if not NAME.fullmatch(name) or name.endswith(SUFFIXES):
        raise SuiteError(
            f"{printable(name)!r} cannot be a suite's name; use up to 64 letters, digits, '_', '-', '.', without a file's suffix"
        )
    if name in list_suites():
        raise SuiteError(f"suite {name} is built in; choose another name")
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").exists():
            raise SuiteError(f"suite {name} is there already ({folder / name}{suffix}); choose another name, or remove that file")


def store_suite(folder: Path, name: str, text: str, *, suffix: Literal[".yaml", ".json"] = ".yaml") -> Path:
    """Put a suite's text into the folder as `NAME.yaml` or `NAME.json`; its path.

    Nothing is written unless the text is a usable suite of that name and size, and nothing is ever replaced: SuiteError.
    StoreError when it cannot be written.
    """
    check_new_name(name, folder)
    _check_text(name, text, suffix)
    path = folder / f"{name}{suffix}"
    _write(path, text, replace=False)
    return path


def _check_text(name: str, text: str, suffix: str) -> Suite:
    """The suite of this name that the text is. SuiteError when it is not, or larger than what is read again."""
    size, most = len(text.encode("utf-8", "replace")), MAX_SIZE_BYTES[suffix]
    if size > most:
        raise SuiteError(f"suite {name} would have {size} bytes, at most {most} are read; import it in parts")
    suite = parse_suite(text, source=f"suite {name}", as_json=suffix == ".json")
    if suite.name != name:
        raise SuiteError(f"suite {name}: gives itself the name {printable(suite.name)!r}; make them the same")
    return suite


def _write(path: Path, text: str, *, replace: bool) -> None:
    folder, name = path.parent, path.stem
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_text(path, text, within=folder.parent, replace=replace)
    except FileExistsError:
        raise SuiteError(f"suite {name} is there already ({path}); choose another name, or remove that file") from None
    except OSError as error:
        raise StoreError(f"could not make the folder {folder}: {error.strerror}; check its permissions") from error


@dataclass(frozen=True, slots=True)
class StoredSuite:
    """What became of a suite: `unchanged` when the same content was there already."""

    suite: Suite
    path: Path
    state: Literal["new", "replaced", "unchanged"]


def store_suites(folder: Path, suites: Sequence[Suite], *, replace: bool = False) -> list[StoredSuite]:
    """Put imported suites into the folder as `NAME.json`. Nothing is written unless all of them can be.

    SuiteError for a suite that is not usable, has a built-in suite's name, or the name of another one that is there already
    (unless `replace`); StoreError when the folder cannot be written.
    """
    if len({suite.name for suite in suites}) < len(suites):
        raise SuiteError("two of the imported suites have the same name; give each a name of its own")
    texts = [_json_of(suite) for suite in suites]
    states = [_state_of(folder, _check_text(s.name, text, ".json"), replace) for s, text in zip(suites, texts, strict=True)]
    stored = [StoredSuite(s, folder / f"{s.name}.json", state) for s, state in zip(suites, states, strict=True)]
    _write_all({one.path: text for one, text in zip(stored, texts, strict=True) if one.state != "unchanged"}, folder)
    return stored


def _write_all(texts: Mapping[Path, str], folder: Path) -> None:
    """First all of them beside their places, then into their places: a full disk leaves everything as it was."""
    if not texts:
        return
    if folder.is_symlink():
        raise StoreError(f"{folder} is a symbolic link, and those are not followed for writing; make it a folder")
    staging = folder / f".import-{os.urandom(6).hex()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, text in texts.items():
            _write(staging / path.name, text, replace=False)
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
        pass  # damaged, or another version's: it is not this one
    if not replace:
        raise SuiteError(
            f"suite {suite.name} is there already with other content ({there}), on which measurements may rest; "
            "give --replace to put this one in its place"
        )
    return "replaced"
