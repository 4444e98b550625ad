"""`selfopt export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from .common import CommandGroup, console, counted, emit, open_app, say
from .export_others import bfcl, inspect, mlflow, wandb
from .streams import write_while_read

PATH = click.Path(path_type=Path)


@click.group("export", cls=CommandGroup)
def command() -> None:
    """Write what was measured and served for other programs.

    docs/DATA.md lists the columns of every table.
    """


def _table(kind: str, about: str, *, content: bool = True, model: bool = True) -> None:
    """Adds the command of one kind of table."""

    def call(ctx: click.Context, /, as_json: bool, out: Path | None, content: bool = False, **asked: Any) -> None:
        from selfopt.errors import UsageError
        from selfopt.verbs.exporting import TableRequest, export_table

        if out is None and sys.stdout.isatty():
            raise UsageError("the table would go to the terminal: name a file with --out, or send the output to a program")
        wanted = TableRequest(kind=kind, out=out, content=content, **asked)  # type: ignore[arg-type]
        done = export_table(open_app(ctx), wanted, write_while_read)
        if out is not None and as_json:
            emit({"kind": done.kind, "format": done.form, "rows": done.rows, "out": out})
        else:
            where = f"written to {out}" if out is not None else "written"
            none = (
                f"; none is of {asked['model']}: leave --model out to see which there are"
                if asked.get("model") and not done.rows
                else ""
            )
            say(console(stderr=out is None), f"{counted(done.rows, 'row')} of {kind} {where}{none}")

    decorators: list[Any] = [
        click.option(
            "--format", "form", type=click.Choice(["csv", "jsonl", "parquet"]), help="Default: that of FILE's ending, else csv."
        ),
        click.option("--out", type=PATH, metavar="FILE", help="The file to write. Default: standard output."),
        click.option("--replace", is_flag=True, help="Replace FILE if it exists."),
        click.option(
            "--since", metavar="DAY", help="Only rows from this day or moment on (UTC): YYYY-MM-DD, or 2026-01-31T12:00:00Z."
        ),
        click.option("--until", metavar="DAY", help="Only rows up to the end of this day, or before this moment (UTC)."),
        *([click.option("--model", help="Only rows of this model.")] if model else []),
        *(
            [click.option("--content", is_flag=True, help="With what people and models wrote. Think about who can read it.")]
            if content
            else []
        ),
        click.option("--json", "as_json", is_flag=True, help="With --out: print what was written as JSON."),
        click.pass_context,
    ]
    made: Any = call
    for decorate in reversed(decorators):
        made = decorate(made)
    command.command(kind, help=about)(made)


_table("trials", "Write a row for each trial.\n\nIt tells what was asked, how it went and how long it took.")
_table("verdicts", "Write a row for each verdict.\n\nIt is the outcome of a trial for a parser and a scorer.")
_table("evaluations", "Write a row for each evaluation: the figures of a spec.", content=False)
_table("decisions", "Write a row for each decision about a candidate.", content=False)
_table(
    "checks",
    "Write a row for each check that is over.\n\nIt has the verdict, every figure, and the trials behind them.",
    content=False,
)
_table(
    "requests",
    "Write a row for each live request that a gateway answered. Prompts and replies are never recorded.",
    content=False,
)
_table(
    "feedback",
    "Write a row for each report of a client about a live request.\n\nIt tells whether the answer was right, and how good it was.",
    model=False,
)
for other in (inspect, bfcl, mlflow, wandb):
    command.add_command(other)
