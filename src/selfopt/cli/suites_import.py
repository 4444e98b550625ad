"""`selfopt suites import`: one command for each importer, made from what the importer says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import console, emit, json_option, run_with_app, say, say_some
from .suites_tools import phase_option, tell_made, tools_options

if TYPE_CHECKING:
    from selfopt.verbs.making import ImportedSuites, Importer
    from selfopt.verbs.opening import App


PATH = click.Path(path_type=Path)
replace_option = click.option("--replace", is_flag=True, help="Replace suites of these names that have other content.")


class ImportGroup(click.Group):
    """Its commands are the importers that there are."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, our own first."""
        from selfopt.verbs.making import importers

        return list(importers())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one of them."""
        from selfopt.verbs.making import importers

        importer = importers().get(cmd_name)
        return None if importer is None else command_of(cmd_name, importer)


@click.group("import", cls=ImportGroup)
def group() -> None:
    """Make a suite of your own from data in another format; it lands in the home's folder `suites`."""


def command_of(kind: str, importer: Importer) -> click.Command:
    """The command of an importer: what it takes, its own options, and those that all have."""

    def call(
        ctx: click.Context,
        /,
        source: Path,
        as_json: bool,
        name: str | None = None,
        phase: Any = None,
        tools: str | None = None,
        tools_timeout_s: float | None = None,
        replace: bool = False,
        **own: str | tuple[str, ...] | None,
    ) -> None:
        async def work(app: App) -> ImportedSuites:
            from selfopt.verbs.making import ImportRequest, import_suites, read_tools

            given = {key: (value,) if isinstance(value, str) else value for key, value in own.items() if value}
            offered = await read_tools(app, tools, tools_timeout_s) if tools is not None else None
            asked = ImportRequest(source, name or source.stem, phase, offered, given)
            return import_suites(app, kind, asked, replace=replace)

        tell_imported(run_with_app(ctx, work), many=importer.many, as_json=as_json)

    options = [click.option(o.flag, o.key, help=o.help, metavar=o.metavar, multiple=o.multiple) for o in importer.options]
    about = importer.about
    if importer.many:
        source = click.option("--from", "source", required=True, type=PATH, help=importer.takes)
        decorators = [source, *options, replace_option]
    else:
        about = f"{about}\n\nFILE: {importer.takes}"
        named = click.option("--name", help="Name of the suite. Default: that of the file.")
        decorators = [click.argument("source", metavar="FILE", type=PATH), named, *options, phase_option, tools_options]
    command: Any = click.pass_context(call)
    for decorate in reversed([*decorators, json_option]):
        command = decorate(command)
    made: click.Command = click.command(kind, help=about)(command)
    return made


def tell_imported(imported: ImportedSuites, *, many: bool, as_json: bool) -> None:
    """What was written, and what the importer left out."""
    say_some(console(stderr=True), [f"note: {warning}" for warning in imported.warnings], indent=0, hang=6)
    if not many:
        tell_made(imported.made[0], as_json=as_json)
    elif as_json:
        emit(imported.made)
    else:
        for row in imported.made:
            halves = f"search {row.search}, held-out {row.heldout}"
            say(console(), f"{row.name:27} {row.state:9} {row.prompts:4} prompts, {halves}; {row.origin}", hang=38)
