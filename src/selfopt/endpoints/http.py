"""The HTTP client that the adapters share: one attempt, bounded in time and size, every fault an EndpointError."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from selfopt.dialects.faults import ADVICE, shown_url, status_error, without_urls
from selfopt.dialects.jsontext import as_dict, bounded_text, dump_json, parse_json, printable
from selfopt.errors import EndpointError, EndpointFault, SettingsError
from selfopt.home import Redactor
from selfopt.records import EndpointConfig

if TYPE_CHECKING:
    from aiohttp.client import _RequestContextManager


RECORDED_FAULT_BYTES = 64_000
SHORTEST_IN_ERRORS = 4  # characters of a key; an error that says too little does no harm
# llama.cpp and uvicorn close an idle connection after 5 s; whoever reuses it at that moment gets a broken pipe.
KEEP_ALIVE_S = 2.0
LONG_TEXT = 262_144
PROBE_TIMEOUT_S = 5.0
UNLOAD_TIMEOUT_S = 30.0
MARGIN = 8_000  # a key that begins before the end of what is recorded


def _has_long_text(body: Mapping[str, Any]) -> bool:
    """Whether a message, or a part of one, is so long that writing it takes milliseconds."""
    for message in body.get("messages") or ():
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else (content,):
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str) and len(text) > LONG_TEXT:
                return True
    return False


@dataclass(frozen=True)
class Call:
    """One request, which may be made several times: what is sent is written once. body: sent as JSON; None means GET.
    Times in seconds.

    isolate: on a connection of its own, closed afterwards. Streamed replies want it too: llama.cpp closes the connection
    after one without saying so, and the next request on it would fail.
    """

    url: str
    body: Mapping[str, Any] | None = None
    timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    isolate: bool = False

    @cached_property
    def payload(self) -> aiohttp.BytesPayload | None:
        """What is sent."""
        return None if self.body is None else aiohttp.BytesPayload(dump_json(self.body), content_type="application/json")

    @cached_property
    def text(self) -> str:
        """What is sent, as text."""
        return "" if self.payload is None else self.payload.decode()


class _TooLargeError(Exception):
    pass


_FAULTS = (_TooLargeError, TimeoutError, EndpointError, aiohttp.ClientError, HttpProcessingError, OSError, ValueError)


@lru_cache(maxsize=64)
def _timeout(total_s: float, connect_s: float) -> aiohttp.ClientTimeout:
    """ceil_threshold: aiohttp would round long timeouts up to whole seconds."""
    return aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s, ceil_threshold=float("inf"))


class HttpClient:
    """Connections to one endpoint. Use it within one event loop; `close` gives them back.

    Keys go into headers only: what is recorded or shown has them replaced by `[key]`, also where a server repeats them.
    """

    def __init__(self, config: EndpointConfig, base_url: str, headers: Mapping[str, str]) -> None:
        """SettingsError when the key cannot be a header's value."""
        self._config = config
        self.max_reply_bytes = config.max_reply_bytes
        key = config.api_key.get_secret_value() if config.api_key is not None else ""
        secrets = [key, unquote(urlsplit(base_url).password or "")]
        if not (key.isascii() and key.isprintable()):
            raise SettingsError(f"endpoint {config.name}: the API key has characters that no header may have; set it again")
        self.answers, self._errors = Redactor(secrets), Redactor(secrets, shortest=SHORTEST_IN_ERRORS)
        self.has_key = self._errors.active
        self._name = config.name
        self._headers = {"Accept-Encoding": "identity", "User-Agent": "selfopt", **headers}
        self._who = f"endpoint {config.name} ({shown_url(base_url)})"
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def call(self, call: Call) -> tuple[Any, float]:
        """The JSON of a whole reply, and the milliseconds it took. EndpointError when anything goes wrong."""
        stream = await self.read(call)
        return (await stream.whole())[1], stream.latency_ms

    async def ask(self, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that a server answers within five seconds; an empty one where it does not."""
        try:
            return as_dict((await self.call(Call(url, body, PROBE_TIMEOUT_S)))[0])
        except EndpointError:
            return {}

    async def _begun(self, call: Call) -> HttpStream:
        """A request to be made. What is long is written in a thread, since whoever shares the loop would wait for it."""
        long = call.body is not None and _has_long_text(call.body)
        told = await asyncio.to_thread(self._told_in_slices, call) if long else self.redact(call.text)
        return HttpStream(self, call, told)

    def _told_in_slices(self, call: Call) -> str:
        if not self.has_key:
            return call.text
        return b"".join(self._errors.slices(call.text.encode("utf-8", "surrogatepass"))).decode("utf-8", "surrogatepass")

    async def read(self, call: Call) -> HttpStream:
        """One request, its whole reply read. EndpointError for whatever goes wrong."""
        stream = await self._begun(call)
        try:
            response = await self._request(call)
            try:
                if not stream.began(response):
                    raise await self._refusal(stream, response)
                await stream.read_all()
            except BaseException:
                # At the end of a reply its connection goes back by itself; here it may not have come to that.
                response.release()
                raise
        except _FAULTS as error:
            raise self._translated(error, stream, call) from None
        return stream

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[HttpStream]:
        """One request whose reply is read as it comes. EndpointError for whatever goes wrong, also inside the block."""
        stream = await self._begun(call)
        try:
            async with self._request(call) as response:
                if not stream.began(response):
                    raise await self._refusal(stream, response)
                yield stream
        except _FAULTS as error:
            raise self._translated(error, stream, call) from None

    def _request(self, call: Call) -> _RequestContextManager:
        session = self._sessions.get(call.isolate) or self._open(call.isolate)
        timeout = _timeout(call.timeout_s, call.connect_timeout_s)
        if call.payload is None:
            return session.get(call.url, timeout=timeout, allow_redirects=False)
        return session.post(call.url, data=call.payload, timeout=timeout, allow_redirects=False)

    async def _refusal(self, stream: HttpStream, response: aiohttp.ClientResponse) -> EndpointError:
        """The error that a reply without a good status is."""
        async for _ in stream.chunks():
            if len(stream.received) >= RECORDED_FAULT_BYTES:
                break
        return status_error(self._who, response.status, response.headers, stream.request_text, stream.recorded(), name=self._name)

    def redact(self, text: str) -> str:
        """The text without the key."""
        return self._errors.text(text) if self.has_key else text

    def fault(self, kind: EndpointFault, what: str, stream: HttpStream, fix: str | None = None) -> EndpointError:
        """An error of this endpoint with what was sent and received until now. fix: for one that another attempt would only
        repeat, what to do about it."""
        said = printable(self.redact(what))
        return EndpointError(
            f"{self._who}: {said}; {fix or ADVICE[kind]}",
            told=f"endpoint {self._name}: {without_urls(said)}",
            kind=kind,
            status=stream.status or None,
            final=fix is not None,
            bodies=(stream.request_text, stream.recorded()),
        )

    def _open(self, isolate: bool) -> aiohttp.ClientSession:
        limit = self._config.max_connections
        connector = (
            aiohttp.TCPConnector(limit=limit, force_close=True)
            if isolate
            else aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_S)
        )
        cookies = aiohttp.DummyCookieJar()
        self._sessions[isolate] = aiohttp.ClientSession(connector=connector, cookie_jar=cookies, headers=self._headers)
        return self._sessions[isolate]

    def _translated(self, error: Exception, stream: HttpStream, call: Call) -> EndpointError:
        if isinstance(error, EndpointError):
            return error
        if isinstance(error, _TooLargeError):
            fix = "lower the variant's max_tokens, or raise the endpoint's max_reply_bytes"
            return self.fault("protocol", f"reply is larger than {self.max_reply_bytes} bytes", stream, fix)
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return self.fault("connect", f"no connection within {call.connect_timeout_s:g} s", stream)
        if isinstance(error, TimeoutError):
            return self.fault("timeout", f"no complete reply within {call.timeout_s:g} s", stream)
        if isinstance(error, aiohttp.ClientConnectorError):
            # Its own text names TLS settings that a plain server does not have.
            why = error.os_error.strerror or str(error.os_error)
            return self.fault("connect", f"cannot connect to {error.host}:{error.port}: {why}", stream)
        if isinstance(error, aiohttp.InvalidURL):
            return self.fault("connect", f"cannot connect: {error}", stream)
        if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
            return self.fault("protocol", f"no HTTP reply: {error.message}", stream)
        return self.fault("protocol", f"connection closed or reply broken: {type(error).__name__} {error}", stream)


class HttpStream:
    """A reply as it arrives, bounded in size. `received` is everything until now."""

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
        """The headers are here: is their status a good one?"""
        self._response, self.status = response, response.status
        self.first_byte_ms = self._elapsed_ms()
        return 200 <= response.status < 300

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._started) * 1000

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive."""
        assert self._response is not None
        while chunk := await self._response.content.readany():
            self.received += chunk
            if len(self.received) > self._client.max_reply_bytes:
                raise _TooLargeError
            yield chunk

    async def read_all(self) -> None:
        """Read the whole body; this is how long it took. It mostly comes in one piece, with its end: then there is nothing
        more to wait for."""
        assert self._response is not None
        content = self._response.content
        while chunk := await content.readany():
            self.received += chunk
            if len(self.received) > self._client.max_reply_bytes:
                raise _TooLargeError
            if content.at_eof():
                break
        self.latency_ms = self._elapsed_ms()

    async def lines(self) -> AsyncIterator[str]:
        """Lines of a streamed body without their ends (LF or CRLF), as UTF-8; the last one may lack its end."""
        rest = bytearray()
        async for chunk in self.chunks():
            rest += chunk
            if b"\n" not in chunk:
                continue
            *whole, rest = rest.split(b"\n")
            for line in whole:
                yield self._decode(line).removesuffix("\r")
        if rest:
            yield self._decode(rest)

    async def whole(self) -> tuple[str, Any]:
        """Everything received, without the key, and its JSON. EndpointError when it is no UTF-8 or no JSON."""
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
            return text, parse_json(text)
        except ValueError:
            text = self._client.redact(self._decode(received))
            return text, self.parse(text)

    @property
    def secrets(self) -> Redactor:
        """What is taken out of this reply."""
        return self._client.answers

    def ended(self) -> str:
        """Everything received, without the key, once nothing more is read. EndpointError when it is no UTF-8."""
        self.latency_ms = self._elapsed_ms()
        return self._client.redact(self._decode(self.received))

    def recorded(self) -> str:
        """The beginning of what was received, for the record of a fault."""
        return self._client.redact(bounded_text(self.received, RECORDED_FAULT_BYTES + MARGIN))[:RECORDED_FAULT_BYTES]

    def parse(self, text: str) -> Any:
        """The JSON of a text of this reply; EndpointError when it is none."""
        try:
            return parse_json(text)
        except ValueError as error:
            what = f"reply is no JSON: {error}: {printable(text, 120)}" if text.strip() else "reply is empty"
            raise self.broken(what) from None

    def broken(self, what: str) -> EndpointError:
        """The error for a reply that is not as documented."""
        return self._client.fault("protocol", what, self)

    def _decode(self, data: bytes | bytearray) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.broken(f"reply is no UTF-8 (byte {error.start})") from None
