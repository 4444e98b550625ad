"""Finds out which MCP server is meant, and reads its tools."""

from __future__ import annotations

import asyncio
import logging
import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from selfopt.errors import SuiteError
from selfopt.home.extras import install_command
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.importers.tools import tools_from

from .limits import Intake

DEFAULT_TIMEOUT_S = 10.0
_SILENT = logging.NullHandler()
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
    _need_sdk()
    intake = Intake(source.who)
    listed = await (_over_http if source.url else _from_command)(source, intake, timeout_s)
    if intake.fault is not None or listed is None:
        raise intake.fault or intake.fail("closed the connection before it listed its tools; check that it is an MCP server")
    return tools_from(listed, source.who)


async def _from_command(source: McpSource, intake: Intake, timeout_s: float) -> list[Any] | None:
    from .process import started
    from .session import list_tools

    async with started(source.command, intake) as server:
        try:
            async with asyncio.timeout(timeout_s):
                listed = await list_tools(server.read, server.write, intake)
                if listed is None and intake.fault is None:
                    await server.ended()
                return listed
        except TimeoutError:
            intake.fail(_late(timeout_s, f" and was ended{server.last_words()}"))
        except ExceptionGroup as group:
            intake.fail(_unreadable(group))
        return None


async def _over_http(source: McpSource, intake: Intake, timeout_s: float) -> list[Any] | None:
    from .http import reached
    from .session import list_tools

    try:
        async with asyncio.timeout(timeout_s), reached(source.url, intake) as (read, write):
            return await list_tools(read, write, intake)
    except TimeoutError:
        intake.fail(_late(timeout_s, ""))
    except ExceptionGroup as group:
        # The SDK's tasks fail together where the transport does, and then what is wrong is noted already.
        intake.fail(_unreadable(group))
    return None


def _unreadable(group: ExceptionGroup[Exception]) -> str:
    first: BaseException = group
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return f"what it sent cannot be read by the package mcp ({type(first).__name__}); check that it is an MCP server"


def _late(timeout_s: float, ended: str) -> str:
    return f"has not listed its tools within {timeout_s:g} s{ended}; it hangs, or needs more time: --tools-timeout"


def _need_sdk() -> None:
    """Raises SuiteError if the SDK is not installed, or in an older version."""
    try:
        import mcp_types  # noqa: F401
        from mcp import MCPError  # noqa: F401
        from mcp.client.streamable_http import streamable_http_client  # noqa: F401
    except ImportError:
        raise SuiteError(
            f"tools of MCP servers are read with the package mcp, which is not installed here; run: {install_command('mcp')}"
        ) from None
    # What it would print holds what a server sent.
    logging.getLogger("mcp").addHandler(_SILENT)
