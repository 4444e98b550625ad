"""MCP over HTTP: each message is a POST, answered in JSON or as a stream of events."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from selfopt.errors import SuiteError
from selfopt.suites.check import printable

from .session import MAX_BYTES, parse_message

_HEADERS = {"Accept": "application/json, text/event-stream", "Accept-Encoding": "identity", "User-Agent": "selfopt"}
_CONNECT_S = 5.0


class HttpTransport:
    """Sends messages to one URL. Follows no redirects, which could lead anywhere."""

    def __init__(self, session: aiohttp.ClientSession, url: str, who: str) -> None:
        self._session = session
        self._url = url
        self._who = who
        self._headers: dict[str, str] = {}
        self._read_bytes = 0

    async def request(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request and return the response with its id."""
        async with self._post(message) as response:
            if response.content_type == "text/event-stream":
                return await self._from_events(response, message["id"])
            body = b"".join([self._counted(piece) async for piece in response.content.iter_any()])
            got = parse_message(body.decode("utf-8", "replace"), self._who)
            if response.status >= 400 and "error" not in got:
                raise self._refusal(response)
            return got

    async def notify(self, message: Mapping[str, Any]) -> None:
        """Send a notification. Ignores the answer."""
        async with self._post(message):
            pass

    def agreed(self, protocol_version: str) -> None:
        """Send the agreed version with every further message."""
        if not (protocol_version.isascii() and protocol_version.isprintable()):
            raise SuiteError(f"{self._who}: names the protocol version {printable(protocol_version)!r}, which is invalid")
        self._headers["MCP-Protocol-Version"] = protocol_version

    async def close(self) -> None:
        """End the session if the server opened one. Ignores failures."""
        if "Mcp-Session-Id" in self._headers:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                timeout = aiohttp.ClientTimeout(total=1.0)
                async with self._session.delete(self._url, headers=self._headers, allow_redirects=False, timeout=timeout):
                    pass

    @asynccontextmanager
    async def _post(self, message: Mapping[str, Any]) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.post(self._url, json=message, headers=self._headers, allow_redirects=False) as response:
                is_answer = response.content_type in ("application/json", "text/event-stream")
                if response.status >= 300 and not (response.status >= 400 and is_answer and "id" in message):
                    raise self._refusal(response)
                if session_id := response.headers.get("Mcp-Session-Id"):
                    self._headers["Mcp-Session-Id"] = session_id
                yield response
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = printable(str(error)[:300]) or type(error).__name__
            raise SuiteError(f"{self._who}: cannot be reached ({said}); check the URL, and that the server runs") from None

    def _refusal(self, response: aiohttp.ClientResponse) -> SuiteError:
        return SuiteError(f"{self._who}: answers with status {response.status}; check the URL (often it ends in /mcp)")

    def _counted(self, piece: bytes) -> bytes:
        self._read_bytes += len(piece)
        if self._read_bytes > MAX_BYTES:
            raise SuiteError(f"{self._who}: sent more than {MAX_BYTES} bytes; it floods, or lists too many tools")
        return piece

    async def _from_events(self, response: aiohttp.ClientResponse, wanted: Any) -> dict[str, Any]:
        """Find the response in a stream of events. The data lines of an event are one message."""
        rest, data = b"", []
        async for piece in response.content.iter_any():
            rest += self._counted(piece)
            *lines, rest = rest.replace(b"\r\n", b"\n").split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    data.append(line[5:].decode("utf-8", "replace"))
                elif not line and data:
                    text, data = "\n".join(data), []
                    if not text.strip():  # an empty event only marks where to resume
                        continue
                    got = parse_message(text, self._who)
                    if "method" not in got and got.get("id") == wanted:
                        return got
        raise SuiteError(f"{self._who}: ended its stream of events without an answer; it is no MCP server that can be read")


@asynccontextmanager
async def reached(url: str, who: str) -> AsyncIterator[HttpTransport]:
    """Open a session to the URL and close it on leaving. The caller limits the total time."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
    async with aiohttp.ClientSession(timeout=timeout, headers=_HEADERS, trust_env=False) as session:
        transport = HttpTransport(session, url, who)
        try:
            yield transport
        finally:
            await transport.close()
