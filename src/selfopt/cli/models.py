"""`selfopt models list | pull | ps | rm`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .common import CommandGroup, LiveLine, answer, console, emit, json_option, open_app, progress_option, run_with_app, say


@click.group("models", cls=CommandGroup)
def command() -> None:
    """List, pull, inspect and remove models."""


@command.command("list")
@json_option
@click.pass_context
def list_models(ctx: click.Context, /, as_json: bool) -> None:
    """List models of the embedded engine, and aliases.

    Models are listed whether they are installed or not, aliases if they are in force.
    """
    from selfopt.home import escape_control
    from selfopt.verbs.models import list_models as listed

    app = open_app(ctx)
    rows = listed(app)
    aliases = app.settings.models.aliases
    lines = [f"{row['name']:32} {row['size_bytes'] / 1e6:8.1f} MB  {_state(row)}" for row in rows]
    lines += (f"{escape_control(alias):32} -> {name}" for alias, name in sorted(aliases.items()))
    endpoints = {name: entry.kind for name, entry in app.settings.endpoints.items()}
    answer({"models": rows, "aliases": aliases, "endpoints": endpoints}, lines, as_json=as_json)


def _state(row: Mapping[str, Any]) -> str:
    if not row["installed"]:
        return "not pulled"
    return "installed" if row["known"] else "installed, not in the catalogue"


@command.command("pull")
@click.argument("names", nargs=-1, required=True)
@progress_option
@json_option
@click.pass_context
def pull(ctx: click.Context, /, names: tuple[str, ...], as_json: bool) -> None:
    """Fetch models and check their sha256. Models that are here already are not fetched again."""
    from selfopt.verbs.models import pull_model

    app = open_app(ctx)
    done: list[dict[str, Any]] = []
    for name in names:
        with LiveLine(enabled=not as_json) as live:
            path, fetched = pull_model(app, name, live.show)
        done.append({"name": name, "path": str(path), "fetched": fetched})
        if not as_json:
            say(console(), f"{name}: {'pulled and verified' if fetched else 'already here'}")
    if as_json:
        emit(done)


@command.command("ps")
@click.argument("names", nargs=-1)
@json_option
@click.pass_context
def ps(ctx: click.Context, /, names: tuple[str, ...], as_json: bool) -> None:
    """Show which of NAMES are loaded, without loading any.

    Default: every alias and installed model.
    """
    from selfopt.verbs.models import model_status

    rows = run_with_app(ctx, lambda app: model_status(app, names))
    lines = (f"{row['name']:40} {_residency(row):13} {row['quantization'][:20]:10} {row['digest'][:16]}" for row in rows)
    answer(rows, lines, as_json=as_json)


def _residency(row: Mapping[str, Any]) -> str:
    return "not installed" if row["installed"] is False and row["state"] == "unloaded" else str(row["state"])


@command.command("rm")
@click.argument("name")
@json_option
@click.pass_context
def rm(ctx: click.Context, /, name: str, as_json: bool) -> None:
    """Remove a pulled model's file from the cache."""
    from selfopt.verbs.models import remove_model

    removed = remove_model(open_app(ctx), name)
    line = f"{name}: {'removed' if removed else 'not installed'}"
    answer({"name": name, "removed": removed}, [line], as_json=as_json)
