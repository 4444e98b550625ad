"""`selfopt suites import KIND`, one command for each importer, and `selfopt suites pull bfcl`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import (
    SECONDS,
    CommandGroup,
    LiveLine,
    answer,
    console,
    counted,
    emit,
    json_option,
    open_app,
    progress_option,
    run_with_app,
    say,
    say_some,
)

if TYPE_CHECKING:
    from selfopt.verbs.making import ImportedSuites, Importer, MadeSuite
    from selfopt.verbs.opening import App


PATH = click.Path(path_type=Path)
PHASES = click.Choice(["atomic", "extended"])
replace_option = click.option("--replace", is_flag=True, help="Replace suites of these names that have other content.")
phase_option = click.option("--phase", type=PHASES, help="Default: atomic where all is one user turn.")


def tools_options(command: Any) -> Any:
    """Adds --tools and --tools-timeout."""
    timeout = click.option(
        "--tools-timeout", "tools_timeout_s", type=SECONDS, help="Seconds for an MCP server to list its tools. Default: 10."
    )
    tools = click.option(
        "--tools",
        metavar="FILE|mcp:SERVER",
        help="Tools: a JSON file, or mcp: and a command or URL of an MCP server, asked once.",
    )
    return tools(timeout(command))


class ImportGroup(CommandGroup):
    """A group with one command for each importer."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the importers' names, the built-in ones first."""
        from selfopt.verbs.making import importers

        return list(importers())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns the command of one importer."""
        from selfopt.verbs.making import importers

        importer = importers().get(cmd_name)
        return None if importer is None else _command_of(cmd_name, importer)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the formats if the typed one is unknown."""
        formats = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in formats:
            raise click.UsageError(f"no such format {args[0]!r}; there are {', '.join(formats)}", ctx)
        return super().resolve_command(ctx, args)


@click.group("import", cls=ImportGroup)
def import_() -> None:
    """Make your own suite from data in another format. It is written to the home's folder `suites`."""


def _command_of(kind: str, importer: Importer) -> click.Command:
    """Makes an importer's command, with its own options and those that all importers have."""

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
        **own: str | bool | tuple[str, ...] | None,
    ) -> None:
        async def work(app: App) -> ImportedSuites:
            from selfopt.verbs.making import ImportRequest, import_suites, read_tools

            given = {key: _values(value) for key, value in own.items() if value}
            offered = await read_tools(app, tools, tools_timeout_s) if tools is not None else None
            asked = ImportRequest(source, name or source.stem, phase, offered, given)
            return import_suites(app, kind, asked, replace=replace)

        _tell_imported(run_with_app(ctx, work), many=importer.many, as_json=as_json)

    options = [
        click.option(o.flag, o.key, help=o.help, metavar=o.metavar, multiple=o.multiple, is_flag=o.is_flag)
        for o in importer.options
    ]
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


def _values(given: str | bool | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(given, tuple):
        return given
    return ("true",) if given is True else (str(given),)


@click.group("pull", cls=CommandGroup)
def pull() -> None:
    """Get well-known suites into the home's folder `suites`."""


@pull.command("bfcl")
@click.option("--category", "categories", multiple=True, metavar="NAME,...", help="Only these categories; default: all.")
@replace_option
@progress_option
@json_option
@click.pass_context
def pull_bfcl(ctx: click.Context, /, categories: tuple[str, ...], replace: bool, as_json: bool) -> None:
    """Fetch the wheel bfcl-eval 2026.3.23, check its sha256 and import its data. Nothing in it is
    installed or executed.
    """
    from selfopt.verbs.bfcl import pull_bfcl_suites

    with LiveLine(enabled=not as_json) as live:
        imported = pull_bfcl_suites(open_app(ctx), categories, live.show, replace=replace)
    _tell_imported(imported, many=True, as_json=as_json)


def _tell_imported(imported: ImportedSuites, *, many: bool, as_json: bool) -> None:
    say_some(console(stderr=True), [f"note: {warning}" for warning in imported.warnings], indent=0, hang=6)
    if many:
        lines = (
            f"{row.name:27} {row.state:9} {row.prompts:4} prompts, search {row.search}, held-out {row.heldout}; {row.origin}"
            for row in imported.made
        )
        answer(imported.made, lines, as_json=as_json, hang=38)
    else:
        tell_made(imported.made[0], as_json=as_json)


def tell_made(made: MadeSuite, *, as_json: bool) -> None:
    """Prints what was written, and what to do next."""
    if as_json:
        emit(made)
        return
    out = console()
    counts = f"{counted(made.prompts, 'prompt')}, {counted(made.tools, 'tool')}"
    say(out, f"{made.name}: {made.phase}, {counts}, written to {made.path}")
    say(out, f"look at it:  selfopt suites show {made.named}", indent=2, hang=15)
    say(out, f"check it:    selfopt suites validate {made.named}", indent=2, hang=15)
    say(out, f"measure it:  selfopt run MODEL {made.phase} --suite {made.named}", indent=2, hang=15)
