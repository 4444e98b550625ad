"""`selfopt suites pull bfcl`."""

from __future__ import annotations

import click

from .common import LiveLine, json_option, open_app
from .suites_import import replace_option, tell_imported


@click.group("pull")
def pull() -> None:
    """Get well-known suites into the home's folder `suites`."""


@pull.command("bfcl")
@click.option("--category", "categories", multiple=True, metavar="NAME,...", help="Only these categories; default: all.")
@replace_option
@json_option
@click.pass_context
def pull_bfcl(ctx: click.Context, /, categories: tuple[str, ...], replace: bool, as_json: bool) -> None:
    """Fetch the wheel bfcl-eval 2026.3.23, check its sha256 and import its data. Nothing in it is installed or executed."""
    from selfopt.verbs.bfcl import pull_bfcl_suites

    with LiveLine(enabled=not as_json) as live:
        imported = pull_bfcl_suites(open_app(ctx), categories, live.show, replace=replace)
    tell_imported(imported, many=True, as_json=as_json)
