"""`export`: tables of what was measured and served."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import UsageError
from selfopt.export import (
    FORMATS,
    LIVE,
    TABLES,
    DataTable,
    Selection,
    TableFormat,
    TableKind,
    TableRows,
    TableWriter,
    Values,
    file_writer,
    moment_of,
    record_rows,
    table_rows,
    text_writer,
    uncollected,
)
from selfopt.gateway.recorded import RecordedRequests
from selfopt.home.files import replacing
from selfopt.wiring.app import App

__all__ = [
    "TABLES",
    "DataTable",
    "ExportedTable",
    "TableFormat",
    "TableKind",
    "TableRequest",
    "TableRows",
    "check_target",
    "export_table",
    "model_named",
    "record_rows",
    "table_rows_of",
]


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Which table is wanted, and how.

    Attributes:
        form: its format; None for that of the file's ending, else CSV.
        out: the file; None for standard output.
        since, until: a day or a moment; rows from the first on, up to the second. A day counts whole.
        model: only rows of this model.
        content: with what people asked and models said.
        replace: whether an existing file may be replaced.
    """

    kind: TableKind
    form: TableFormat | None = None
    out: Path | None = None
    since: str | None = None
    until: str | None = None
    model: str | None = None
    content: bool = False
    replace: bool = False

    @property
    def chosen_form(self) -> TableFormat:
        """The format that is written. Raises UsageError where neither it nor the file's ending is one."""
        suffix = self.out.suffix.lower().removeprefix(".") if self.out is not None else ""
        if self.form is not None:
            return self.form
        found = next((form for form in FORMATS if form == suffix), None)
        if found is None and self.out is not None:
            raise UsageError(
                f"{str(self.out)!r:.300} ends in no format that is known: write .csv, .jsonl or .parquet, or name one with --format"
            )
        return found or "csv"


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """What was written. out: None for standard output."""

    kind: TableKind
    form: TableFormat
    rows: int
    out: Path | None


def export_table(app: App, asked: TableRequest, write: Callable[[str], object]) -> ExportedTable:
    """Write a table to its file, which is there whole or not at all, or through `write`.

    Raises:
        UsageError: what is asked for can't be, the file exists, or a package for its format is missing.
        StoreError: something can't be read or written.
    """
    if asked.out is not None:
        check_target(asked.out, replace=asked.replace)
    form, selection = asked.chosen_form, _selection(app, asked)
    columns = TABLES[asked.kind].chosen(selection)
    if asked.out is None:
        if form == "parquet":
            raise UsageError("parquet is no text: name a file with --out")
        return ExportedTable(
            asked.kind, form, _written(_rows(app, asked.kind, selection), text_writer(form, write, columns)), None
        )
    with replacing(asked.out, replace=asked.replace) as file:
        writer = file_writer(form, file, columns)
        rows = _written(_rows(app, asked.kind, selection), writer)
    return ExportedTable(asked.kind, form, rows, asked.out)


def table_rows_of(app: App, asked: TableRequest) -> TableRows:
    """Return the rows of a table for a program. Raises as `export_table`."""
    selection = _selection(app, asked)
    return TableRows(TABLES[asked.kind].chosen(selection), lambda: _rows(app, asked.kind, selection))


def check_target(path: Path, *, replace: bool) -> None:
    """Raise UsageError unless a file of this name can be written."""
    if path.is_dir():
        raise UsageError(f"{str(path)!r:.300} is a folder; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {str(path.parent)!r:.300}; make it, or name another file")
    if path.exists() and not path.is_file():
        raise UsageError(f"{str(path)!r:.300} is not a regular file; name another, or leave --out out and redirect the output")
    if not replace and os.path.lexists(path):
        raise UsageError(f"{str(path)!r:.300} exists; name another file, or replace it with --replace")


def _selection(app: App, asked: TableRequest) -> Selection:
    if asked.kind not in TABLES:
        raise UsageError(f"no table {asked.kind!r:.100}; there are {', '.join(TABLES)}")
    if asked.kind == "requests" and asked.content:
        raise UsageError("live requests have no content: prompts and replies are never recorded; leave --content out")
    if asked.kind == "feedback" and asked.model is not None:
        raise UsageError("feedback names no model: leave --model out, and join it to the requests by its id")
    since, until = moment_of(asked.since), moment_of(asked.until, end=True)
    if until and since >= until:
        raise UsageError(f"--since {asked.since} is not before --until {asked.until}; exchange them")
    one_name = app.settings.one_name
    model = one_name(model_named(app, asked.model)) if asked.model is not None else None
    names = one_name if asked.kind != "requests" else lambda name: one_name(_resolved(app, name))
    return Selection(since, until, model, names, asked.content)


def model_named(app: App, name: str) -> str:
    """The whole name of a model, which the settings need not know any more where it is whole."""
    return (app.known_model(name) or name) if "/" in name else app.resolve_model(name)


def _resolved(app: App, name: str) -> str:
    """The whole name of a model that a client may have asked for by an alias."""
    return app.settings.models.aliases.get(name, name)


def _rows(app: App, kind: TableKind, selection: Selection) -> Iterator[Values]:
    ledger = app.ledger if kind not in LIVE and app.has_ledger else None
    return table_rows(kind, selection, ledger, RecordedRequests(app.home.requests).whole())


def _written(batches: Iterator[Values], writer: TableWriter) -> int:
    rows = 0
    try:
        with uncollected():
            for values in batches:
                rows += len(next(iter(values.values())))
                writer.add(values)
            writer.end()
    except BaseException:
        writer.drop()
        raise
    return rows
