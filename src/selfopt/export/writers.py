"""Writes tables as CSV, JSON lines or parquet, a batch at a time."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, Literal, Protocol

import msgspec

from selfopt.home import escape_control, escape_json

from .columns import Column, Values

TableFormat = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[TableFormat, ...] = ("csv", "jsonl", "parquet")

_FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)  # the last four are the full-width signs
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\ufffd\U00010000-\U0010ffff]|[\u200b-\u200f\u2060-\u206f\ufeff]")
_encoder = msgspec.json.Encoder()


class TableWriter(Protocol):
    """Writes a table. Nothing of it can be used before `end`."""

    def add(self, values: Values) -> None:
        """Writes some rows."""
        ...

    def end(self) -> None:
        """Writes what follows the last row."""
        ...

    def drop(self) -> None:
        """Lets go of everything, where the rest can't be written."""
        ...


class CsvWriter:
    """Comma-separated values with a line of names, as RFC 4180 wants them.

    A text that a spreadsheet would take for a formula gets an apostrophe in front. Control characters are
    written like `\\x1b`, so that nothing happens where the file is shown in a terminal.
    """

    def __init__(self, write: Callable[[str], object], columns: Sequence[Column]) -> None:
        self._write = write
        self._columns = columns
        self._line([column.name for column in columns])

    def _line(self, names: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text).writerow(names)
        self._write(text.getvalue())

    def add(self, values: Values) -> None:
        """See `TableWriter.add`."""
        text = io.StringIO()
        shown = [_cells(column, values[column.name]) for column in self._columns]
        csv.writer(text).writerows(zip(*shown, strict=True))
        self._write(text.getvalue())

    def end(self) -> None:
        """See `TableWriter.end`."""

    def drop(self) -> None:
        """See `TableWriter.drop`."""


def _cells(column: Column, values: Sequence[object]) -> Iterable[object]:
    if column.sort in ("text", "json"):
        return [_defused(value) if isinstance(value, str) else value for value in values]
    if column.sort == "flag":
        return [None if value is None else "true" if value else "false" for value in values]
    return values


def _defused(text: str) -> str:
    """Returns a text that no spreadsheet executes and no terminal obeys."""
    if not (text.isascii() and text.isprintable()):
        text = _CONTROL.sub(lambda found: escape_control(found[0]), text)
    return f"'{text}" if text.startswith(_FORMULA) else text


class JsonLinesWriter:
    """One JSON object a line. Columns of JSON are texts here, too, so that every format holds the same."""

    def __init__(self, write: Callable[[str], object], columns: Sequence[Column]) -> None:
        self._write = write
        self._names = [column.name for column in columns]

    def add(self, values: Values) -> None:
        """See `TableWriter.add`."""
        rows = [dict(zip(self._names, row, strict=True)) for row in zip(*(values[name] for name in self._names), strict=True)]
        try:
            text = _encoder.encode_lines(rows).decode()
        except UnicodeEncodeError:  # lone surrogates
            text = "".join(json.dumps(row) + "\n" for row in rows)
        self._write(escape_json(text))

    def end(self) -> None:
        """See `TableWriter.end`."""

    def drop(self) -> None:
        """See `TableWriter.drop`."""


def text_writer(form: TableFormat, write: Callable[[str], object], columns: Sequence[Column]) -> TableWriter:
    """Returns the writer of a format that is text."""
    return CsvWriter(write, columns) if form == "csv" else JsonLinesWriter(write, columns)


def file_writer(form: TableFormat, file: BinaryIO, columns: Sequence[Column]) -> TableWriter:
    """Returns the writer of a format into a file. Raises UsageError where a package for it is missing."""
    if form == "parquet":
        from .arrow import ParquetWriter

        return ParquetWriter(file, columns)
    return text_writer(form, lambda text: file.write(text.encode("utf-8", "replace")), columns)
