"""What the commands that make suites have in common: tools from elsewhere, and how what was made is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .common import SECONDS, console, emit, say

if TYPE_CHECKING:
    from selfopt.verbs.making import MadeSuite


phase_option = click.option(
    "--phase", type=click.Choice(["atomic", "extended"]), help="Default: atomic where all is one user turn."
)


def tools_options(command: Any) -> Any:
    """--tools and --tools-timeout."""
    timeout = click.option(
        "--tools-timeout", "tools_timeout_s", type=SECONDS, help="Seconds for an MCP server to list its tools. Default: 10."
    )
    tools = click.option(
        "--tools",
        metavar="FILE|mcp:SERVER",
        help="Tools: a JSON file, or mcp: and a command or URL of an MCP server, asked once.",
    )
    return tools(timeout(command))


def tell_made(made: MadeSuite, *, as_json: bool) -> None:
    """What was written, and what to do next."""
    if as_json:
        emit(made)
        return
    out = console()
    count = f"{made.prompts} prompt{'' if made.prompts == 1 else 's'}, {made.tools} tool{'' if made.tools == 1 else 's'}"
    say(out, f"{made.name}: {made.phase}, {count}, written to {made.path}")
    say(out, f"look at it:  selfopt suites show {made.named}", indent=2, hang=15)
    say(out, f"check it:    selfopt suites validate {made.named}", indent=2, hang=15)
    say(out, f"measure it:  selfopt run MODEL {made.phase} --suite {made.named}", indent=2, hang=15)
