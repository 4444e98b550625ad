"""`selfopt suites import promptfoo FILE --name NAME`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from .common import json_option, run_with_app
from .suites_tools import phase_option, read_chosen_tools, tell_made, tools_options

if TYPE_CHECKING:
    from selfopt.verbs.making import MadeSuite
    from selfopt.verbs.opening import App

__all__ = ["import_promptfoo"]


@click.command("promptfoo")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the suite. Default: that of the file.")
@click.option("--provider", help="Id or label of the provider whose tools are offered, where they differ.")
@phase_option
@tools_options
@json_option
@click.pass_context
def import_promptfoo(
    ctx: click.Context,
    /,
    file: Path,
    name: str | None,
    provider: str | None,
    phase: Literal["atomic", "extended"] | None,
    tools: str | None,
    tools_timeout_s: float | None,
    as_json: bool,
) -> None:
    """A configuration of promptfoo whose asserts state tool calls: is-valid-openai-tools-call, tool-call-f1, equals, is-json.

    Asserts that are code or say nothing about tool calls are refused by name; nothing is executed.
    """

    async def work(app: App) -> MadeSuite:
        from selfopt.verbs.making import import_promptfoo as verb

        return verb(app, file, name or file.stem, phase, await read_chosen_tools(app, tools, tools_timeout_s), provider)

    tell_made(run_with_app(ctx, work), as_json=as_json)
