"""The conversation with an MCP server: a handshake, then the tools page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from selfopt import __version__
from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.suites.check import printable

PROTOCOL_VERSION = "2025-11-25"
# From this revision on there is no handshake. Every request carries what the handshake said.
STATELESS_VERSION = "2026-07-28"
MAX_BYTES = 4_000_000
MAX_PAGES = 100
MAX_TOOLS = 1000
_CLIENT = {"name": "selfopt", "version": __version__}
# JSON-RPC's "no such method" and MCP's "unsupported protocol version": the server has no handshake.
_NO_HANDSHAKE = (-32601, -32022)
_SAID = 300


class McpServerError(SuiteError):
    """The server answered with a JSON-RPC error."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Transport(Protocol):
    """Carries messages to a server. Raises SuiteError, which names the server, for any failure."""

    async def request(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the response with its id."""

    async def notify(self, message: Mapping[str, Any]) -> None:
        """Send a notification."""

    def agreed(self, protocol_version: str) -> None:
        """Take note of the protocol version that the handshake agreed on."""


async def list_tools(transport: Transport, who: str) -> list[Any]:
    """List all tools of a server as it describes them.

    Raises SuiteError for answers that break the protocol.
    """
    meta: dict[str, Any] = {}
    try:
        hello = {"protocolVersion": PROTOCOL_VERSION, "capabilities": {}, "clientInfo": _CLIENT}
        result = await _ask(transport, who, 0, "initialize", hello)
        transport.agreed(str(result.get("protocolVersion") or PROTOCOL_VERSION))
        await transport.notify({"jsonrpc": "2.0", "method": "notifications/initialized"})
    except McpServerError as error:
        if error.code not in _NO_HANDSHAKE:
            raise
        transport.agreed(STATELESS_VERSION)
        named = {"protocolVersion": STATELESS_VERSION, "clientInfo": _CLIENT, "clientCapabilities": {}}
        meta = {"_meta": {f"io.modelcontextprotocol/{key}": value for key, value in named.items()}}
    tools: list[Any] = []
    cursor: Any = None
    seen: set[str] = set()
    for page in range(1, MAX_PAGES + 1):
        result = await _ask(transport, who, page, "tools/list", {**meta, **({"cursor": cursor} if cursor is not None else {})})
        listed = result.get("tools")
        if not isinstance(listed, list):
            raise SuiteError(f"{who}: its answer to tools/list has no list of tools; it is no MCP server that can be read")
        tools += listed
        cursor = result.get("nextCursor")
        if cursor is None:
            return tools
        if not isinstance(cursor, str) or cursor in seen:
            raise SuiteError(f"{who}: its list of tools has no end (the page {printable(repr(cursor))} comes again)")
        seen.add(cursor)
        if len(tools) > MAX_TOOLS:
            raise SuiteError(f"{who}: lists more than {MAX_TOOLS} tools; offer fewer at once")
    raise SuiteError(f"{who}: its list of tools has more than {MAX_PAGES} pages; offer fewer at once")


async def _ask(transport: Transport, who: str, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    response = await transport.request({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    error = response.get("error")
    if error is not None:
        body = error if isinstance(error, dict) else {}
        code = body.get("code")
        said = printable(str(body.get("message", error))[:_SAID])
        raise McpServerError(f"{who}: refuses {method}: {said}; check that it is an MCP server", code if type(code) is int else 0)
    result = response.get("result")
    if not isinstance(result, dict):
        raise SuiteError(f"{who}: its answer to {method} has no result; it is no MCP server that can be read")
    return result


def parse_message(text: str, who: str) -> dict[str, Any]:
    """Read a JSON-RPC message. Raises SuiteError for anything else."""
    try:
        message = read_plain_json(text)
    except PlainJsonError:
        message = None
    if not isinstance(message, dict):
        raise SuiteError(
            f"{who}: sent {printable(repr(text[:80]))}, which is no message of JSON-RPC; check that it is an MCP server"
        )
    return message


def answer_to(message: Mapping[str, Any]) -> str | None:
    """The answer to a message of the server: a ping is answered, other requests are declined.

    None if it is no request.
    """
    if "method" not in message or "id" not in message:
        return None
    declined = {"error": {"code": -32601, "message": "selfopt only reads tools/list"}}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], **({"result": {}} if message["method"] == "ping" else declined)})
