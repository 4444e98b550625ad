"""`selfopt suites import jsonl FILE --name NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from .common import json_option, run_with_app
from .suites_tools import phase_option, read_chosen_tools, tell_made, tools_options

if TYPE_CHECKING:
    from selfopt.verbs.making import MadeSuite
    from selfopt.verbs.opening import App

__all__ = ["import_jsonl"]


@click.command("jsonl")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="Name of the suite.")
@phase_option
@tools_options
@json_option
@click.pass_context
def import_jsonl(
    ctx: click.Context,
    /,
    file: Path,
    name: str,
    phase: Literal["atomic", "extended"] | None,
    tools: str | None,
    tools_timeout_s: float | None,
    as_json: bool,
) -> None:
    """JSON lines, one prompt a line: {messages, tools, expected}. OpenAI's messages, tools and tool calls are understood.

    --tools gives the tools of lines that have none.
    """

    async def work(app: App) -> MadeSuite:
        from selfopt.verbs.making import import_jsonl as verb

        return verb(app, file, name, phase, await read_chosen_tools(app, tools, tools_timeout_s))

    tell_made(run_with_app(ctx, work), as_json=as_json)
