"""The conversation with an MCP server by the SDK: a handshake, then the tools page by page."""

from __future__ import annotations

from typing import Any

from mcp import ClientSession, MCPError
from mcp_types import CONNECTION_CLOSED, Implementation, PaginatedRequestParams
from pydantic import ValidationError

from selfopt import __version__
from selfopt.suites.check import printable

from .limits import MAX_PAGES, MAX_TOOLS, SAID, Intake

# JSON-RPC's "no such method" and MCP's "unsupported protocol version": the server has no handshake.
_NO_HANDSHAKE = (-32601, -32022)


class _Received:
    """What a server sends, with a schema for each tool that is listed without one.

    Tools without arguments are often listed so, and the SDK refuses the whole list for it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> _Received:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._stream.__aexit__(*raised)

    def __aiter__(self) -> _Received:
        return self

    async def __anext__(self) -> Any:
        return _with_schemas(await self._stream.__anext__())


def _with_schemas(received: Any) -> Any:
    result = getattr(getattr(received, "message", None), "result", None)
    listed = result.get("tools") if isinstance(result, dict) else None
    for tool in listed if isinstance(listed, list) else ():
        if isinstance(tool, dict) and tool.get("inputSchema") is None:
            tool["inputSchema"] = {"type": "object", "properties": {}}
    return received


async def list_tools(read: Any, write: Any, intake: Intake) -> list[Any] | None:
    """List all tools of a server as it describes them.

    None if the server was over before they were listed, or the intake says what is wrong.
    """
    async with ClientSession(_Received(read), write, client_info=Implementation(name="selfopt", version=__version__)) as session:
        # What is raised within the SDK's group of tasks would come out as a group of errors.
        asked = "initialize"
        try:
            await _greet(session)
            asked = "tools/list"
            return await _pages(session, intake)
        except MCPError as error:
            if error.error.code != CONNECTION_CLOSED or not intake.over:
                said = printable(error.error.message[:SAID])
                intake.fail(f"refuses {asked}: {said}; check that it is an MCP server")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = printable(".".join(map(str, first["loc"])))
            intake.fail(f"its answer to {asked} breaks the protocol: {place}: {printable(first['msg'])}; correct the server")
        except RuntimeError as error:
            intake.fail(f"{printable(str(error)[:SAID])}; update the server, or the package mcp")
    return None


async def _greet(session: ClientSession) -> None:
    """Do the handshake; with a server that has none, which the newest revision of the protocol allows, ask what it speaks."""
    try:
        await session.initialize()
    except MCPError as error:
        if error.error.code not in _NO_HANDSHAKE:
            raise
        await session.discover()


async def _pages(session: ClientSession, intake: Intake) -> list[Any] | None:
    tools: list[Any] = []
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        params = PaginatedRequestParams(cursor=cursor) if cursor is not None else None
        result = await session.list_tools(params=params)
        tools += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in result.tools]
        cursor = result.next_cursor
        if cursor is None:
            return tools
        if cursor in seen:
            intake.fail(f"its list of tools has no end (the page {printable(repr(cursor))} comes again)")
            return None
        seen.add(cursor)
        if len(tools) > MAX_TOOLS:
            intake.fail(f"lists more than {MAX_TOOLS} tools; offer fewer at once")
            return None
    intake.fail(f"its list of tools has more than {MAX_PAGES} pages; offer fewer at once")
    return None
