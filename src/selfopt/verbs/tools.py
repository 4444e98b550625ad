"""Tools that a user names: a file, or an MCP server that is asked once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfopt.errors import SuiteError, UsageError
from selfopt.home import InputFileError, read_input
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.records import ToolDefinition, is_loopback
from selfopt.suites import tools_from
from selfopt.suites.mcp import DEFAULT_TIMEOUT_S, parse_source, read_mcp_tools
from selfopt.wiring.app import App

Tools = Path | str | Sequence[ToolDefinition]
"""A file, or definitions; as text also `mcp:COMMAND` or `mcp:URL`, where that is said."""

MAX_TOOLS_BYTES = 2_000_000
_MCP = "mcp:"


def given_tools(tools: Tools) -> tuple[ToolDefinition, ...]:
    """Definitions as they are, or tools from a JSON file: a list of `{name, description, parameters}`, of OpenAI's `{type, function}`, of MCP's, or an
    object with such a list under `tools`. SuiteError names what is wrong."""
    if not isinstance(tools, str | Path):
        return tuple(tools)
    path = Path(tools)
    try:
        body = read_plain_json(read_input(path, MAX_TOOLS_BYTES))
    except InputFileError as error:
        raise UsageError(f"--tools {path}: {error}; it should be a JSON file with a list of tools") from None
    except PlainJsonError as error:
        raise SuiteError(f"{path} is no valid JSON: {error}") from None
    return tools_from(body, str(path))


def tools_label(source: str) -> str:
    """What a source of tools is called where everybody may read it: no arguments of a command, no key of a URL."""
    return parse_source(source.removeprefix(_MCP)).who if source.startswith(_MCP) else Path(source).name


async def read_tools(app: App, source: Tools, timeout_s: float | None = None) -> tuple[ToolDefinition, ...]:
    """Tools as `given_tools` takes them, or from a server that is asked once: `mcp:COMMAND` or `mcp:URL`.

    A command is what the user typed and runs as the user; a URL has to be on this machine, unless the user's own settings
    have allow_remote (ConsentError). SuiteError names what is wrong with file or server.
    """
    if not isinstance(source, str) or not source.startswith(_MCP):
        return given_tools(source)
    server = parse_source(source.removeprefix(_MCP))
    if server.url and not is_loopback(server.url):
        app.sender.require_consent(server.who)
    return await read_mcp_tools(server, timeout_s or DEFAULT_TIMEOUT_S)
