"""`selfopt suites import bfcl` and `selfopt suites pull bfcl`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import LiveLine, console, emit, json_option, open_app, say

__all__ = ["import_bfcl", "pull"]

_category = click.option(
    "--category", "categories", multiple=True, metavar="NAME,...", help="Only these categories; default: all."
)
_replace = click.option("--replace", is_flag=True, help="Replace suites of these names that have other content.")


@click.command("bfcl")
@click.option(
    "--from", "source", required=True, type=click.Path(path_type=Path), help="A wheel of bfcl-eval, or a folder with its data."
)
@_category
@_replace
@json_option
@click.pass_context
def import_bfcl(ctx: click.Context, /, source: Path, categories: tuple[str, ...], replace: bool, as_json: bool) -> None:
    """The Berkeley Function Calling Leaderboard, version 4: a suite `bfcl_CATEGORY` for each category.

    Judged as its own checker judges. Its halves `search` and `heldout` share no function and no request. `suites pull bfcl` gets the data.
    """
    from selfopt.verbs.bfcl import import_bfcl_suites

    _tell(import_bfcl_suites(open_app(ctx), source, _split(categories), replace=replace), as_json=as_json)


@click.group("pull")
def pull() -> None:
    """Get well-known suites into the home's folder `suites`."""


@pull.command("bfcl")
@_category
@_replace
@json_option
@click.pass_context
def pull_bfcl(ctx: click.Context, /, categories: tuple[str, ...], replace: bool, as_json: bool) -> None:
    """Fetch the wheel bfcl-eval 2026.3.23, check its sha256 and import its data. Nothing in it is installed or executed."""
    from selfopt.verbs.bfcl import pull_bfcl_suites

    live = LiveLine(enabled=not as_json)
    try:
        rows = pull_bfcl_suites(open_app(ctx), _split(categories), live.show, replace=replace)
    finally:
        live.clear()
    _tell(rows, as_json=as_json)


def _split(categories: tuple[str, ...]) -> list[str]:
    """The option may be repeated, and may name several."""
    return [name for listed in categories for name in listed.split(",") if name]


def _tell(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        emit(rows)
        return
    out = console()
    for row in rows:
        halves = f"search {row['search']}, held-out {row['heldout']}"
        say(out, f"{row['name']:27} {row['state']:9} {row['prompts']:4} prompts, {halves}; {row['origin']}", hang=38)
