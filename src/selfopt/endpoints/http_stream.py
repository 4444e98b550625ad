"""One HTTP request, and its reply as it arrives: bounded in size, without keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import aiohttp

from selfopt.dialects.coding import inflater_of
from selfopt.dialects.events import LineSplitter
from selfopt.dialects.jsontext import bounded_text, dump_json, parse_reply, printable
from selfopt.errors import EndpointError
from selfopt.home import Redactor

if TYPE_CHECKING:
    from .http import HttpClient

RECORDED_FAULT_BYTES = 64_000
MARGIN = 8_000  # bytes read past the record, so that a key across its end is found


@dataclass(frozen=True)
class Call:
    """One HTTP request. It can be sent several times, but its body is written only once.

    Attributes:
        url: where it goes.
        body: sent as JSON; None makes a GET request.
        timeout_s: seconds for the whole request.
        connect_timeout_s: seconds for connecting.
        isolate: whether to use a new connection and close it afterwards. Streams need this too:
            llama.cpp closes the connection after one without saying so, and the next request on
            it would fail.
    """

    url: str
    body: Mapping[str, Any] | None = None
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    isolate: bool = False

    @cached_property
    def payload(self) -> aiohttp.BytesPayload | None:
        """The body as it is sent; None for GET."""
        return None if self.body is None else aiohttp.BytesPayload(dump_json(self.body), content_type="application/json")

    @cached_property
    def text(self) -> str:
        """The body as text; "" for GET."""
        return "" if self.payload is None else self.payload.decode()


class TooLargeError(Exception):
    """A reply is larger than the endpoint allows."""


class HttpStream:
    """A reply as it arrives, bounded in size. `received` holds the body so far."""

    __slots__ = ("_client", "_response", "_started", "first_byte_ms", "latency_ms", "received", "request_text", "status")

    def __init__(self, client: HttpClient, call: Call, request_text: str) -> None:
        self._client = client
        self._response: aiohttp.ClientResponse | None = None
        self.request_text = request_text
        self.received = bytearray()
        self._started = time.perf_counter()
        self.status = 0
        self.first_byte_ms = 0.0
        self.latency_ms = 0.0

    def began(self, response: aiohttp.ClientResponse) -> bool:
        """Take the headers. Returns whether the status is 2xx."""
        self._response, self.status = response, response.status
        self.first_byte_ms = self._elapsed_ms()
        return 200 <= response.status < 300

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the pieces of the body as they arrive, decompressed."""
        assert self._response is not None
        inflater = inflater_of(self._response.headers.get("Content-Encoding"))
        while chunk := await self._response.content.readany():
            for piece in (chunk,) if inflater is None else inflater.slices(chunk):
                self._take(piece)
                yield piece
        if inflater is not None:
            inflater.end()

    def _take(self, piece: bytes) -> None:
        self.received += piece
        if len(self.received) > self._client.max_reply_bytes:
            raise TooLargeError

    async def read_all(self) -> None:
        """Read the whole body and set the latency.

        Most bodies arrive in one piece together with their end, so check for the end after each
        piece instead of waiting for another one.
        """
        assert self._response is not None
        content = self._response.content
        if "Content-Encoding" in self._response.headers:
            async for _ in self.chunks():
                await asyncio.sleep(0)
        while chunk := await content.readany():
            self._take(chunk)
            if content.at_eof():
                break
        self.latency_ms = self._elapsed_ms()

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of the body without their ends (LF, CRLF or CR). The last may lack one."""
        lines = LineSplitter()
        async for chunk in self.chunks():
            for line in lines.feed(chunk):
                yield self._decode(line)
        rest = lines.end()
        if rest:
            yield self._decode(rest)

    async def whole(self) -> tuple[str, Any]:
        """The body without keys, and its JSON. Raises EndpointError for invalid UTF-8 or JSON."""
        received = bytes(self.received)
        if self._client.answers.active:
            pieces = []
            for piece in self._client.answers.slices(received):
                pieces.append(piece)
                if len(piece) < len(received):
                    await asyncio.sleep(0)
            received = b"".join(pieces)
        try:
            text = received.decode("utf-8")
            return text, parse_reply(text)
        except ValueError:
            text = self._client.redact(self._decode(received))
            return text, self.parse(text)

    @property
    def secrets(self) -> Redactor:
        """Removes the secrets of this endpoint."""
        return self._client.answers

    def ended(self) -> str:
        """Set the latency; return the body without keys. Raises EndpointError if not UTF-8."""
        self.latency_ms = self._elapsed_ms()
        return self._client.redact(self._decode(self.received))

    def recorded(self) -> str:
        """The beginning of the body, for the record of a fault."""
        return self._client.redact(bounded_text(self.received, RECORDED_FAULT_BYTES + MARGIN))[:RECORDED_FAULT_BYTES]

    def parse(self, text: str) -> Any:
        """Read JSON in this reply. Raises EndpointError when it is invalid."""
        try:
            return parse_reply(text)
        except ValueError as error:
            what = f"reply is not JSON: {error}: {printable(text, 120)}" if text.strip() else "reply is empty"
            raise self.broken(what) from None

    def broken(self, what: str) -> EndpointError:
        """Make the error for a reply that is not as documented."""
        return self._client.fault("protocol", what, self, blames="content")

    def _decode(self, data: bytes | bytearray) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.broken(f"reply is not UTF-8 (byte {error.start})") from None
