"""A server that is reached over HTTP: the SDK's transport over a client that bounds what it reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from selfopt.suites.check import printable

from .limits import MAX_BYTES, SAID, Intake

_CONNECT_S = 5.0
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "selfopt"}


class _Counted(httpx2.AsyncByteStream):
    """The body of a response, which ends with an error once the server has sent too much."""

    def __init__(self, stream: Any, intake: Intake) -> None:
        self._stream = stream
        self._intake = intake

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            if self._intake.count(len(piece)):
                raise httpx2.ReadError(str(self._intake.fault))
            yield piece

    async def aclose(self) -> None:
        """Close the connection's side of it."""
        await self._stream.aclose()


class _BoundedTransport(httpx2.AsyncBaseTransport):
    """Sends requests, follows no redirects, which could lead anywhere, and takes no compressed bodies, which can be bombs."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request. Keeps what is wrong with its response."""
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.TransportError, OSError) as error:
            said = printable(str(error)[:SAID]) or type(error).__name__
            self._intake.fail(f"cannot be reached ({said}); check the URL, and that the server runs")
            raise
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        moved = 300 <= response.status_code < 400
        if request.method == "POST" and (moved or (response.status_code >= 400 and kind != "application/json")):
            self._intake.fail(f"answers with status {response.status_code}; check the URL (often it ends in /mcp)")
        if moved:
            await response.aclose()
            raise httpx2.ReadError("a redirect")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            self._intake.fail("sends compressed bodies though none were asked for; it is no MCP server that can be read")
            raise httpx2.ReadError("a compressed body")
        response.stream = _Counted(response.stream, self._intake)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


@asynccontextmanager
async def reached(url: str, intake: Intake) -> AsyncIterator[Any]:
    """The streams of a session with the URL, which is closed on leaving. The caller limits the total time."""
    timeout = httpx2.Timeout(None, connect=_CONNECT_S)
    async with (
        httpx2.AsyncClient(
            transport=_BoundedTransport(intake), headers=_HEADERS, timeout=timeout, trust_env=False, follow_redirects=False
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_BYTES) as streams,
    ):
        yield streams
