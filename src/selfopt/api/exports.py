"""The verbs of `selfopt export` for Python programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

from selfopt.verbs.exporting import (
    ExportedTable,
    TableFormat,
    TableKind,
    TableRequest,
    TableRows,
    export_table,
    record_rows,
    table_rows_of,
)
from selfopt.verbs.exporting_evaluations import (
    SentRuns,
    WrittenLog,
    export_bfcl,
    export_inspect,
    export_mlflow,
    export_wandb,
)

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

    def rows(self, rows: Sequence[Any]) -> TableRows:
        """Returns the rows of a result as a table: `compare(...).rows`, `keys.usage().rows`, an evaluation's `rows`.

        There is a column for each field. A figure with an interval has one for each of its parts (`accuracy_low`), and what is
        no single value is JSON.

        Raises:
            UsageError: they are no records, or of several classes.
        """
        return record_rows(rows)

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

    def inspect(
        self, out: str | Path, evaluations: Sequence[str] = (), *, model: str | None = None, replace: bool = False
    ) -> list[WrittenLog]:
        """Writes evaluations as logs of Inspect, with their prompts and replies. out: a folder, or a file for the newest."""
        return export_inspect(self._app, Path(out), evaluations, model=model, replace=replace)

    def bfcl(
        self, out: str | Path, evaluations: Sequence[str] = (), *, model: str | None = None, name: str | None = None
    ) -> list[WrittenLog]:
        """Writes answers to suites of the Berkeley leaderboard as its files of results and scores."""
        return export_bfcl(self._app, Path(out), evaluations, model=model, name=name)

    def mlflow(self, uri: str, *, experiment: str = "selfopt", model: str | None = None, remote: bool = False) -> SentRuns:
        """Writes cycles and evaluations to MLflow, without prompts and replies. remote: also to a server elsewhere."""
        return export_mlflow(self._app, uri, experiment=experiment, model=model, remote=remote)

    def wandb(self, out: str | Path, *, project: str = "selfopt", model: str | None = None, online: bool = False) -> SentRuns:
        """Writes cycles and evaluations for Weights & Biases, without prompts and replies. online: also sends them."""
        return export_wandb(self._app, Path(out), project=project, model=model, online=online)
