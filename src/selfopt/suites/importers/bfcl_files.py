"""Reads the data of the Berkeley Function Calling Leaderboard from a wheel or a folder.

Reads only the files of the wanted categories, each up to a limit. Neither executes nor unpacks
anything in a wheel.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.suites.check import printable

# For each category, whether it has answers. Without them nothing should be called, or anything
# for relevance.
BFCL_CATEGORIES: dict[str, bool] = {
    "simple_python": True,
    "multiple": True,
    "parallel": True,
    "parallel_multiple": True,
    "irrelevance": False,
    "live_simple": True,
    "live_multiple": True,
    "live_parallel": True,
    "live_parallel_multiple": True,
    "live_irrelevance": False,
    "live_relevance": False,
}
# Five and twenty-five times the sizes of version 4.
_MAX_FILE_BYTES = 20_000_000
_MAX_WHEEL_BYTES = 50_000_000
_DATA = "bfcl_eval/data/"
_FILE = re.compile(r"BFCL_(v[0-9]+)_(\w+)\.json")
_WHEEL = re.compile(r"(bfcl_eval)-([^-/]+)(?:\.dist-info|-[^/]*\.whl)")


@dataclass(frozen=True, slots=True)
class BfclFile:
    """A file. `name`: what messages call it; `sha256`: the hash of its bytes, 64 hex digits."""

    name: str
    text: str
    sha256: str


@dataclass(frozen=True, slots=True)
class BfclFiles:
    """The files of one category. `version`: that of their package, or "unknown"."""

    category: str
    version: str
    questions: BfclFile
    answers: BfclFile | None


def read_bfcl_files(source: Path, categories: Sequence[str] = ()) -> list[BfclFiles]:
    """Read the files of some categories.

    Args:
        source: a wheel of bfcl-eval, or a folder: the package, its `data`, or one that
            `pip install --target` filled.
        categories: the categories; by default every known one that is there.

    Raises:
        SuiteError: a category is unknown or missing, the files are not version 4, or a file can't
            be read. The message names the file.
    """
    for category in categories:
        if category not in BFCL_CATEGORIES:
            raise SuiteError(f"unknown category {printable(category)!r}; known are {', '.join(BFCL_CATEGORIES)}")
    shown = printable(str(source))
    if source.is_dir():
        return _Folder(source).read(tuple(categories))
    named = _FILE.fullmatch(source.name)
    if named is not None:
        what = "give its folder" if named[1] == "v4" else f"it is of BFCL {named[1]}, but only v4 can be judged"
        raise SuiteError(f"{shown}: is one file of the leaderboard; {what}")
    if not source.is_file():
        raise SuiteError(f"{shown}: is neither a wheel nor a folder; give the wheel of bfcl-eval, or a folder with its data")
    try:
        if source.stat().st_size > _MAX_WHEEL_BYTES:
            raise SuiteError(f"{shown}: larger than {_MAX_WHEEL_BYTES} bytes; give the wheel of bfcl-eval")
        with zipfile.ZipFile(source) as archive:
            return _Wheel(source, archive).read(tuple(categories))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        # no archive, damaged, cut off, unknown compression, encrypted, or no permission
        raise SuiteError(f"{shown}: cannot be read as a wheel ({printable(str(error))}); get it again") from error


class _Source:
    """A place with data files. `names` are their paths in the data folder."""

    def __init__(self, shown: str, names: frozenset[str], version: str) -> None:
        self.shown = shown
        self.names = names
        self.version = version

    def text_of(self, name: str) -> str:
        """Read a file. Raises SuiteError if that fails."""
        raise NotImplementedError

    def read(self, categories: Sequence[str]) -> list[BfclFiles]:
        """Read the files of these categories, or of all that are there."""
        there = self._categories_there()
        missing = [category for category in categories if category not in there]
        if missing:
            raise SuiteError(f"{self.shown}: has no {_question(missing[0])}; there are {', '.join(there)}")
        return [self._files_of(category) for category in (categories or there)]

    def _categories_there(self) -> list[str]:
        found = [category for category in BFCL_CATEGORIES if _question(category) in self.names]
        if not found:
            others = sorted({m[1] for name in self.names if (m := _FILE.fullmatch(name)) is not None} - {"v4"})
            what = f"has data of BFCL {', '.join(others)}, but only v4 can be judged" if others else "has no BFCL_v4_*.json"
            raise SuiteError(f"{self.shown}: {what}; take bfcl-eval 2026.3.23 (selfopt suites pull bfcl)")
        return found

    def _files_of(self, category: str) -> BfclFiles:
        answers = None
        if BFCL_CATEGORIES[category]:
            name = f"possible_answer/{_question(category)}"
            if name not in self.names:
                raise SuiteError(f"{self.shown}: has {_question(category)} but not {name}; get the data again")
            answers = self._file(name)
        return BfclFiles(category, self.version, self._file(_question(category)), answers)

    def _file(self, name: str) -> BfclFile:
        text = self.text_of(name)
        return BfclFile(f"{self.shown}: {name}", text, hashlib.sha256(text.encode("utf-8")).hexdigest())


class _Wheel(_Source):
    """The members of a wheel. Uses their names only to find them."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        members = archive.namelist()
        names = frozenset(name.removeprefix(_DATA) for name in members if name.startswith(_DATA))
        super().__init__(printable(str(path)), names, _version_of([name.split("/")[0] for name in members]))
        self._archive = archive

    def text_of(self, name: str) -> str:
        """Read a member."""
        with self._archive.open(_DATA + name) as file:
            data = file.read(_MAX_FILE_BYTES + 1)  # the archive may lie about the size
        if len(data) > _MAX_FILE_BYTES:
            raise SuiteError(f"{self.shown}: {name} is larger than {_MAX_FILE_BYTES} bytes; get the data again")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SuiteError(f"{self.shown}: {name}: byte {error.start} is not UTF-8; get the data again") from None


class _Folder(_Source):
    """The files in a folder."""

    def __init__(self, path: Path) -> None:
        self._data = next((p for p in (path / _DATA, path / "data", path) if _has_data(p)), path)
        around = [p.name for p in self._data.parent.parent.glob("bfcl_eval-*.dist-info")]
        names = {p.name for p in self._data.glob("BFCL_*.json")}
        names |= {f"possible_answer/{p.name}" for p in self._data.glob("possible_answer/BFCL_*.json")}
        super().__init__(printable(str(self._data)), frozenset(names), _version_of(around))

    def text_of(self, name: str) -> str:
        """Read a file."""
        try:
            return read_input(self._data / name, _MAX_FILE_BYTES)
        except InputFileError as error:
            raise SuiteError(f"{self.shown}: {name}: {error}") from None


def _has_data(path: Path) -> bool:
    return next(path.glob("BFCL_*.json"), None) is not None


def _question(category: str) -> str:
    return f"BFCL_v4_{category}.json"


def _version_of(names: Sequence[str]) -> str:
    found = sorted({m[2] for name in names if (m := _WHEEL.fullmatch(name)) is not None})
    return printable(found[0])[:40] if len(found) == 1 else "unknown"
