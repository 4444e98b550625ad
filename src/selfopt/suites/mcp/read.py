"""Finds out which MCP server is meant, and reads its tools."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

from selfopt.errors import SuiteError
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.importers.tools import tools_from

from .http import reached
from .session import Transport, list_tools
from .stdio import StdioTransport, started

DEFAULT_TIMEOUT_S = 10.0
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class McpSource:
    """A server: either a command with its arguments or a URL; the other is empty.

    `who` names it in messages.
    """

    command: tuple[str, ...]
    url: str
    who: str


def parse_source(text: str) -> McpSource:
    """Read a URL or a command line. A command is split like in a shell but never given to one.

    Raises:
        SuiteError: the text is neither.
    """
    plain = text.strip()
    if plain.startswith(("http://", "https://")):
        parts = urlsplit(plain)
        if not parts.hostname or any(c.isspace() or not c.isprintable() for c in plain):
            raise SuiteError(f"mcp:{printable(plain)} is no URL; give one such as mcp:http://127.0.0.1:8000/mcp")
        # Messages leave out user names and keys in the URL.
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return McpSource((), plain, f"MCP server {printable(shown[:_SHOWN])}")
    try:
        command = tuple(shlex.split(plain))
    except ValueError as error:
        raise SuiteError(f"mcp:{printable(plain)} cannot be split into words ({error}); correct the quotes") from None
    if not command or "\x00" in plain:
        raise SuiteError("mcp: names no server; give a command or a URL, such as mcp:http://127.0.0.1:8000/mcp")
    return McpSource(command, "", f"MCP server {printable(command[0][-_SHOWN:])!r}")


async def read_mcp_tools(source: McpSource, timeout_s: float = DEFAULT_TIMEOUT_S) -> tuple[ToolDefinition, ...]:
    """Read the tools that a server lists, in its order. Starts and ends a command; calls no tools.

    Raises:
        SuiteError: the server can't be reached, needs more than timeout_s seconds in all, sends too
            much, or sends something else than MCP. The message names the server.
    """
    transport: Transport | None = None
    try:
        connected: AbstractAsyncContextManager[Transport] = (
            reached(source.url, source.who) if source.url else started(source.command, source.who)
        )
        async with asyncio.timeout(timeout_s), connected as transport:
            listed = await list_tools(transport, source.who)
    except TimeoutError:
        what = f" and was ended{transport.last_words()}" if isinstance(transport, StdioTransport) else ""
        raise SuiteError(
            f"{source.who}: has not listed its tools within {timeout_s:g} s{what}; it hangs, or needs more time: --tools-timeout"
        ) from None
    return tools_from(listed, source.who)
