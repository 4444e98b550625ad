"""`selfopt export inspect` and its kin: formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from .common import answer, counted, json_option, open_app

PATH = click.Path(path_type=Path)


@click.command("inspect")
@click.argument("evaluations", nargs=-1, metavar="[EVALUATION]...")
@click.option("--out", required=True, type=PATH, metavar="DIR|FILE.eval", help="A folder for all, or a file for the newest.")
@click.option("--model", help="Only evaluations of this model.")
@click.option("--since", metavar="DAY", help="Only from this day or moment on (UTC).")
@click.option("--until", metavar="DAY", help="Only up to the end of this day, or before this moment (UTC).")
@click.option("--replace", is_flag=True, help="Write logs anew that are there already.")
@json_option
@click.pass_context
def inspect(
    ctx: click.Context,
    /,
    evaluations: tuple[str, ...],
    out: Path,
    model: str | None,
    since: str | None,
    until: str | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Write evaluations as logs of Inspect, which `inspect view` opens.

    They hold prompts and replies, so mind who reads them. An EVALUATION is an id, or the beginning or end of
    one. In a folder, logs that are there already stay as they are.
    """
    from selfopt.verbs.exporting_evaluations import export_inspect

    app = open_app(ctx)
    written = export_inspect(app, out, evaluations, model=model, since=since, until=until, replace=replace)
    lines = [f"{counted(log.samples, 'sample')} written to {log.path}" for log in written]
    answer(written, lines, as_json=as_json, empty=f"nothing new: every log is in {out} already")
