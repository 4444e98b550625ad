"""Reads the files that a configuration names: only data, and only inside its folder.

What they hold together is bounded, and so is how many there are. Nothing is executed.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.suites.check import printable
from selfopt.suites.load import data_of

from .globs import MAGIC, matcher
from .left_out import NotImportedError

MAX_BYTES = 5_000_000
MAX_ALL_BYTES = 32_000_000
MAX_FILES = 1000
MAX_STEPS = 100_000
_MAX_NAME, _MAX_PATH = 255, 3000
DATA = (".yaml", ".yml", ".json")
ROWS = (".jsonl", ".csv", ".tsv")
TEXT = (".txt", ".md", ".j2")
_CODE = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".sh", ".bash", ".pl")
_ELSEWHERE = ("http://", "https://", "huggingface://", "az://", "s3://", "exec:", "langfuse://", "portkey://", "helicone://")


@dataclass(slots=True)
class Folder:
    """The folder of a configuration. Nothing outside of it is read.

    Attributes:
        root: the folder.
        left_bytes, left_files: how much may still be read.
        left_steps: how often a file may still be looked for, or looked at in a folder.
    """

    root: Path
    left_bytes: int = MAX_ALL_BYTES
    left_files: int = MAX_FILES
    left_steps: int = field(default_factory=lambda: MAX_STEPS)
    _real: str = ""
    _found: dict[tuple[str, tuple[str, ...], Path | None], list[Path]] = field(default_factory=dict)
    _texts: dict[Path, str] = field(default_factory=dict)
    _data: dict[Path, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._real = os.path.realpath(self.root)

    def find(self, name: str, where: str, kinds: tuple[str, ...], near: Path | None = None) -> list[Path]:
        """The files that a reference names: one, those of a folder, or those that a pattern matches.

        Args:
            name: a path, relative to `near` or else to the folder; `file://` before it means nothing.
            where: what messages call the place.
            kinds: the suffixes that are read. A folder or a pattern passes over others.
            near: the folder of the file in which the reference stands.

        Raises:
            NotImportedError: it names code, or something that is not on this machine.
            SuiteError: it leads outside the folder, or to nothing that can be read.
        """
        shown = f"{where}: {printable(name)}"
        self._step(shown)
        key = (name, kinds, near)
        if key not in self._found:
            self._found[key] = self._find(name, shown, kinds, near)
        return self._found[key]

    def _find(self, name: str, shown: str, kinds: tuple[str, ...], near: Path | None) -> list[Path]:
        plain = name.removeprefix("file://")
        if name.startswith(_ELSEWHERE):
            raise NotImportedError(
                shown, f"{printable(name.partition(':')[0])}: is nothing beside the configuration; save it as a file there"
            )
        if (
            not plain
            or "\x00" in plain
            or any(len(part.encode()) > _MAX_NAME for part in plain.split("/"))
            or len(plain) > _MAX_PATH
        ):
            raise SuiteError(f"{shown}: names no file")
        base = self._base(plain, near, shown)
        found = self._matched(base, plain, kinds, shown) if MAGIC.search(plain) else self._named(base / plain, kinds, shown)
        if not found:
            raise SuiteError(f"{shown}: no file of {', '.join(kinds)} is there; correct the path")
        return found

    def _base(self, plain: str, near: Path | None, shown: str) -> Path:
        first = Path(plain.partition("*")[0])
        for base in dict.fromkeys([near or self.root, self.root]):
            self._inside(base / first, shown)
            with contextlib.suppress(OSError, ValueError):
                if (base / plain).exists():
                    return base
        return self.root

    def _inside(self, path: Path, shown: str) -> None:
        real = os.path.realpath(path)
        if real != self._real and not real.startswith(os.path.join(self._real, "")):
            raise SuiteError(f"{shown}: leads outside the folder of the configuration; put it into that folder")

    def _named(self, path: Path, kinds: tuple[str, ...], shown: str) -> list[Path]:
        if path.is_dir():
            return [found for found in self._walk(path, shown) if found.suffix in kinds]
        name, _, function = path.name.rpartition(":")
        suffix = Path(name).suffix if name and function.isidentifier() else path.suffix
        if suffix in _CODE:
            raise NotImportedError(shown, f"a file of code ({suffix}), which is not executed")
        if suffix not in kinds:
            raise SuiteError(f"{shown}: no file of {', '.join(kinds)}; only these are read, and nothing is executed")
        return [path]

    def _matched(self, base: Path, pattern: str, kinds: tuple[str, ...], shown: str) -> list[Path]:
        fits = matcher(pattern, shown)
        start = base.joinpath(*fits.plain)
        self._inside(start, shown)
        found = self._walk(start, shown) if start.is_dir() else iter(())
        return [path for path in found if path.suffix in kinds and fits(path.relative_to(base).parts)]

    def _walk(self, folder: Path, shown: str) -> Iterator[Path]:
        for place, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "node_modules")
            for name in sorted(names):
                self._step(shown)
                path = Path(place) / name
                if not name.startswith("."):
                    self._inside(path, shown)
                    yield path

    def _step(self, shown: str) -> None:
        self.left_steps -= 1
        if self.left_steps < 0:
            raise SuiteError(
                f"{shown}: too many files are named, or stand in its folder (more than {MAX_STEPS}); import it in parts"
            )

    def text(self, path: Path, where: str) -> str:
        """The text of a file that `find` found."""
        if path not in self._texts:
            self._inside(path, where)
            self.left_files -= 1
            if self.left_files < 0:
                raise SuiteError(f"{where}: the configuration names more than {MAX_FILES} files; import it in parts")
            try:
                text = read_input(path, min(MAX_BYTES, self.left_bytes))
            except InputFileError as error:
                raise SuiteError(f"{where}: {error}") from None
            self.left_bytes -= len(text.encode())
            self._texts[path] = text
        return self._texts[path]

    def data(self, path: Path, where: str) -> Any:
        """The data of a YAML file (with aliases, up to a limit), a JSON file, or a file of rows. Nobody may change it."""
        if path not in self._data:
            self._data[path] = self._read(path, where)
        return self._data[path]

    def _read(self, path: Path, where: str) -> Any:
        text = self.text(path, where)
        if path.suffix == ".jsonl":
            lines = enumerate(text.split("\n"), 1)
            return [data_of(line, f"{where}: line {n}", as_json=True) for n, line in lines if line.strip()]
        if path.suffix in (".csv", ".tsv"):
            return list(rows_of(text, where))
        return data_of(text, where, as_json=path.suffix == ".json", aliases=True)

    def read(self, name: str, where: str, near: Path | None = None) -> Any:
        """The data of the one file that a reference names."""
        (path, *more) = self.find(name, where, DATA, near)
        if more:
            raise SuiteError(f"{where}: {printable(name)}: names {len(more) + 1} files where one is meant")
        return self.data(path, f"{where}: {printable(name)}")


def rows_of(text: str, where: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV file by the names of its columns.

    Fields in quotes may have line breaks. The separator is the one of comma, tab and semicolon that
    the head of the file has most of. Rows without any text are passed over.
    """
    head = text.partition("\n")[0]
    separator = max(",\t;", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        if not any(names):
            raise SuiteError(f"{where}: has no head; write the names of the vars into its first line")
        for row in reader:
            if len(row) > len(names):
                raise SuiteError(
                    f"{where}: line {reader.line_num} has {len(row)} fields, its head {len(names)}; put quotes around text"
                )
            if any(field.strip() for field in row):
                yield dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise SuiteError(f"{where}: line {reader.line_num}: {error}; correct its quotes") from None
