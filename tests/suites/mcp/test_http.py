"""Servers that are reached over HTTP, on loopback."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from selfopt.errors import SuiteError
from selfopt.suites.mcp import parse_source, read_mcp_tools

from .server import answer, known


@dataclass
class Server:
    """A server that behaves as `how` says, and what it was sent."""

    how: str = ""
    url: str = ""
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One message."""
        message: Any = await request.json() if request.can_read_body else None
        self.seen.append((request.method, {k.lower(): v for k, v in request.headers.items()}, message))
        if request.method == "GET":
            return web.Response(status=405)
        if request.method == "DELETE":
            return web.Response(status=204)
        if self.how == "status":
            return web.Response(status=404, text="nothing here")
        if self.how in ("redirect", "moved"):
            return web.Response(
                status=307, headers={"Location": "http://example.invalid/" if self.how == "redirect" else "/other"}
            )
        if self.how == "hang":
            await asyncio.Event().wait()
        if "id" not in message:
            return web.Response(status=202)
        if self.how == "html":
            return web.Response(text="<html>", content_type="text/html")
        if self.how == "stateless" and not known(message):
            error = {"code": -32022, "message": "unsupported protocol version"}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error}, status=400)
        if self.how == "gzip":
            return web.Response(
                body=gzip.compress(b" " * 4_000_000_0), headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}
            )
        if self.how == "flood":
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for _ in range(100):
                await response.write(b"data: " + b"x" * 65536)
            return response
        body = {"jsonrpc": "2.0", "id": message["id"], "result": answer(message, self.how)}
        headers = {"Mcp-Session-Id": "s1"} if message["method"] == "initialize" else {}
        if self.how in ("events", "silent"):
            return await self._events(request, body, headers)
        return web.json_response(body, headers=headers)

    async def _events(self, request: web.Request, body: dict[str, Any], headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **headers})
        await response.prepare(request)
        await response.write(
            b": hello\r\n\r\nid: 1\r\ndata: \r\n\r\nevent: message\r\ndata: "
            + b'{"jsonrpc": "2.0", "method": "notifications/x"}\r\n\r\n'
        )
        if self.how == "events":
            text = json.dumps(body, indent=0).split("\n")
            await response.write("".join(f"data: {line}\n" for line in text).encode() + b"\n")
        return response


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on a free port."""
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/mcp", made.handle)
    app.router.add_route("*", "/other", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    yield made
    await runner.cleanup()


@pytest.mark.parametrize("how", ["", "events", "stateless"])
async def test_the_tools_of_all_pages_are_read(server: Server, how: str) -> None:
    """From JSON, from a stream of events, from a server without handshake."""
    server.how = how
    tools = await read_mcp_tools(parse_source(server.url), 20.0)
    assert [tool.name for tool in tools] == ["tool_0", "tool_1", "tool_2"]


async def test_session_and_version_go_with_every_further_request(server: Server) -> None:
    """And the session is ended."""
    await read_mcp_tools(parse_source(server.url), 20.0)
    first, *rest = server.seen
    assert "mcp-session-id" not in first[1]
    assert "text/event-stream" in first[1]["accept"]
    assert all(headers["mcp-session-id"] == "s1" for _, headers, _ in rest)
    assert all(headers["mcp-protocol-version"] == "2025-06-18" for _, headers, _ in rest)
    assert rest[0][2]["method"] == "notifications/initialized"
    assert rest[-1][0] == "DELETE"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("status", "answers with status 404; check the URL"),
        ("redirect", "answers with status 307"),
        ("moved", "answers with status 307"),
        ("html", "refuses initialize: Unexpected content type: text/html"),
        ("gzip", "sends compressed bodies"),
        ("flood", "sent more than 4000000 bytes"),
        ("silent", "refuses initialize: SSE stream ended"),
        ("no list", "its answer to tools/list breaks the protocol: "),
        ("endless", "has more than 100 pages"),
    ],
)
async def test_a_server_that_misbehaves_is_named_with_what_it_did(server: Server, how: str, said: str) -> None:
    """With its URL, in one line."""
    server.how = how
    with pytest.raises(SuiteError) as caught:
        await read_mcp_tools(parse_source(server.url), 20.0)
    assert said in str(caught.value)
    assert server.url in str(caught.value)
    assert "307" not in said or len(server.seen) == 1  # and no redirect was followed


async def test_a_server_that_hangs_is_left(server: Server) -> None:
    """After the time that was given."""
    server.how = "hang"
    with pytest.raises(SuiteError, match=r"has not listed its tools within 0\.5 s; it hangs"):
        await read_mcp_tools(parse_source(server.url), 0.5)


async def test_a_server_that_is_not_there_is_named() -> None:
    """Nobody listens on that port."""
    with pytest.raises(SuiteError, match="cannot be reached"):
        await read_mcp_tools(parse_source("http://127.0.0.1:1/mcp"), 20.0)
