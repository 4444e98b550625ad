"""`selfopt suites new NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from .common import json_option, run_with_app
from .suites_tools import tell_made, tools_options


@click.command("new")
@click.argument("name")
@click.option("--phase", type=click.Choice(["atomic", "extended"]), default="atomic", show_default=True, help="Kind of work.")
@click.option("--to", type=click.Path(path_type=Path), help="Write this .yaml file instead of one in the home's folder `suites`.")
@tools_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    name: str,
    phase: Literal["atomic", "extended"],
    to: Path | None,
    tools: str | None,
    tools_timeout_s: float | None,
    as_json: bool,
) -> None:
    """Write a commented suite NAME to begin with; it validates as it is. Nothing is ever overwritten.

    With --tools it offers those instead of the example's.
    """

    from selfopt.verbs.making import new_suite

    tell_made(run_with_app(ctx, lambda app: new_suite(app, name, phase, tools, to, tools_timeout_s)), as_json=as_json)
