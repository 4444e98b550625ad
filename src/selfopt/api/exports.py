"""The verbs of `selfopt export` for Python programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypedDict, Unpack

from selfopt.verbs.exporting import ExportedTable, TableFormat, TableKind, TableRequest, TableRows, export_table, table_rows_of

from .runner import Noun


class RowOptions(TypedDict, total=False):
    """Which rows of a table, and whether with content.

    since, until: a day or a moment in UTC; a day counts whole. content: with prompts, replies and calls.
    """

    since: str | None
    until: str | None
    model: str | None
    content: bool


class Exports(Noun):
    """What was measured and served, as tables: `selfopt export`. docs/DATA.md lists the columns."""

    def table(self, kind: TableKind, **options: Unpack[RowOptions]) -> TableRows:
        """Returns the rows of a table. They are read when they are asked for.

        Raises:
            UsageError: there is no such model or time.
        """
        return table_rows_of(self._app, TableRequest(kind, **options))

    def write(
        self,
        kind: TableKind,
        out: str | Path,
        form: TableFormat | None = None,
        *,
        replace: bool = False,
        **options: Unpack[RowOptions],
    ) -> ExportedTable:
        """Writes a table into a file, which is there whole or not at all.

        form: "csv", "jsonl" or "parquet". Default: that of the file's ending, else CSV.
        """
        asked = TableRequest(kind, form, Path(out), replace=replace, **options)
        return export_table(self._app, asked, sys.stdout.write)
