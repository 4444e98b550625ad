"""Reads the files that a configuration names: only data, and only inside its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.suites.check import printable
from selfopt.suites.load import data_of

MAX_BYTES = 5_000_000
_DATA = (".yaml", ".yml", ".json")
_TEXT = (*_DATA, ".txt", ".md")


def read_data(path: Path, where: str) -> Any:
    """Read a YAML file (with aliases, up to a limit) or a JSON file.

    Raises SuiteError for others.
    """
    return data_of(_text(path, _DATA, where), where, as_json=path.suffix == ".json", aliases=True)


def read_reference(name: str, folder: Path, where: str, *, as_text: bool = False) -> Any:
    """Read a file that a configuration names.

    Args:
        name: `file://` and a path relative to the folder.
        folder: the folder of the configuration.
        where: what messages call the place.
        as_text: whether to return the text, which also allows text files, instead of the data.

    Raises:
        SuiteError: the file is outside the folder, or can't be read.
    """
    path = folder / name.removeprefix("file://")
    shown = f"{where}: {printable(name)}"
    if not path.resolve().is_relative_to(folder.resolve()):
        raise SuiteError(f"{shown}: leads outside the folder of the configuration; put it into that folder")
    return _text(path, _TEXT, shown) if as_text else read_data(path, shown)


def _text(path: Path, kinds: tuple[str, ...], where: str) -> str:
    if path.suffix not in kinds:
        raise SuiteError(f"{where}: no file of {', '.join(kinds)}; only these are read, and nothing is executed")
    try:
        return read_input(path, MAX_BYTES)
    except InputFileError as error:
        raise SuiteError(f"{where}: {error}") from None
