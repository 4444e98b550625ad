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
    """Write evaluations as logs of Inspect.

    `inspect view` opens them. They hold prompts and replies, so mind who reads them. An EVALUATION is an id, or the beginning or end of
    one. In a folder, logs that are there already stay as they are.
    """
    from selfopt.verbs.exporting_evaluations import export_inspect

    app = open_app(ctx)
    written = export_inspect(app, out, evaluations, model=model, since=since, until=until, replace=replace)
    lines = [f"{counted(log.samples, 'sample')} written to {log.path}" for log in written]
    answer(written, lines, as_json=as_json, empty=f"nothing new: every log is in {out} already")


@click.command("bfcl")
@click.argument("evaluations", nargs=-1, metavar="[EVALUATION]...")
@click.option("--out", required=True, type=PATH, metavar="DIR", help="The folder; `result` and `score` are made below it.")
@click.option("--model", help="Only evaluations of this model.")
@click.option("--as", "name", metavar="NAME", help="Name the model as in the leaderboard's table, for `bfcl evaluate`.")
@json_option
@click.pass_context
def bfcl(
    ctx: click.Context, /, evaluations: tuple[str, ...], out: Path, model: str | None, name: str | None, as_json: bool
) -> None:
    """Write answers as the Berkeley leaderboard's results.

    Answers to its suites (`suites pull bfcl`) become its files of results and scores. The newest evaluation of each model and category counts, and of that the first run. The files hold what
    models said. Files of the same names are replaced.
    """
    from selfopt.verbs.exporting_evaluations import export_bfcl

    written = export_bfcl(open_app(ctx), out, evaluations, model=model, name=name)
    answer(written, (f"{counted(log.samples, 'answer')} written to {log.path}" for log in written), as_json=as_json)


@click.command("mlflow")
@click.option("--uri", required=True, help="A folder or a database of this machine (sqlite:///FILE), or a server.")
@click.option("--experiment", default="selfopt", show_default=True, help="Its name in MLflow.")
@click.option("--model", help="Only this model.")
@click.option("--allow-remote", "remote", is_flag=True, help="Send to a server that is not on this machine.")
@json_option
@click.pass_context
def mlflow(ctx: click.Context, /, uri: str, experiment: str, model: str | None, remote: bool, as_json: bool) -> None:
    """Write cycles and evaluations to MLflow.

    That is figures and names, never a prompt or a reply. What is there already is left out, so the command can be repeated.
    """
    from selfopt.verbs.exporting_evaluations import export_mlflow

    done = export_mlflow(open_app(ctx), uri, experiment=experiment, model=model, remote=remote)
    answer(done, [f"{counted(done.runs, 'run')} written to {done.where}"], as_json=as_json)


@click.command("wandb")
@click.option("--out", required=True, type=PATH, metavar="DIR", help="Where its files go.")
@click.option("--project", default="selfopt", show_default=True, help="Its name at Weights & Biases.")
@click.option("--model", help="Only this model.")
@click.option("--online", is_flag=True, help="Send them to the server of Weights & Biases. Default: keep them in DIR.")
@json_option
@click.pass_context
def wandb(ctx: click.Context, /, out: Path, project: str, model: str | None, online: bool, as_json: bool) -> None:
    """Write cycles and evaluations for Weights & Biases.

    That is figures and names, never a prompt or a reply. Nothing is sent without --online; `wandb sync` sends what is in DIR.
    """
    from selfopt.verbs.exporting_evaluations import export_wandb

    done = export_wandb(open_app(ctx), out, project=project, model=model, online=online)
    answer(done, [f"{counted(done.runs, 'run')} written to {done.where}"], as_json=as_json)
