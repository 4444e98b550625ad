"""Reads the tools that a user names: from a file, or from an MCP server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError, UsageError
from selfopt.home import InputFileError, read_input
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.records import ToolDefinition, is_loopback
from selfopt.suites.importers.tools import tools_from
from selfopt.wiring.app import App

Tools = Path | str | Sequence[ToolDefinition]
"""A file or definitions. `read_tools` also takes the text `mcp:COMMAND` or `mcp:URL`."""

MAX_TOOLS_BYTES = 2_000_000
_MCP = "mcp:"


def given_tools(tools: Tools) -> tuple[ToolDefinition, ...]:
    """Return definitions as they are, or read tools from a JSON file.

    The file holds a list of `{name, description, parameters}`, of OpenAI's `{type, function}` or of
    MCP's tools, or an object with such a list under `tools`.

    Raises:
        UsageError: the file cannot be read.
        SuiteError: its content is no list of tools.
    """
    if not isinstance(tools, str | Path):
        given: Any = tools
        known = isinstance(given, list | tuple) and all(isinstance(tool, ToolDefinition) for tool in given)
        return tuple(given) if known else tools_from(given, "tools")
    path = Path(tools)
    try:
        body = read_plain_json(read_input(path, MAX_TOOLS_BYTES))
    except InputFileError as error:
        raise UsageError(f"--tools {path}: {error}; it should be a JSON file with a list of tools") from None
    except PlainJsonError as error:
        raise SuiteError(f"{path}: {error}") from None
    return tools_from(body, str(path))


def tools_label(source: str) -> str:
    """Name a source of tools in public, without a command's arguments or a URL's key."""
    from selfopt.suites.mcp import parse_source  # its HTTP client takes long to import

    return parse_source(source.removeprefix(_MCP)).who if source.startswith(_MCP) else Path(source).name


async def read_tools(app: App, source: Tools, timeout_s: float | None = None) -> tuple[ToolDefinition, ...]:
    """Read tools as `given_tools` does, or ask an MCP server once for `mcp:COMMAND` or `mcp:URL`.

    A command runs as the user who typed it. A URL has to be on this machine, unless the user's own
    settings have allow_remote.

    Raises:
        ConsentError: the URL is on another machine and the user did not allow that.
        SuiteError: the server's answer cannot be used. Otherwise raises as `given_tools`.
    """
    if not isinstance(source, str) or not source.startswith(_MCP):
        return given_tools(source)
    from selfopt.suites.mcp import DEFAULT_TIMEOUT_S, parse_source, read_mcp_tools

    server = parse_source(source.removeprefix(_MCP))
    if server.url and not is_loopback(server.url):
        app.sender.require_consent(server.who)
    return await read_mcp_tools(server, timeout_s or DEFAULT_TIMEOUT_S)
