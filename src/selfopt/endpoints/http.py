"""The HTTP client of the adapters. It bounds time and size. Faults raise EndpointError."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from selfopt.dialects.coding import inflater_of
from selfopt.dialects.events import LineSplitter
from selfopt.dialects.faults import ADVICE, ADVICE_BEHIND_PROXY, shown_url, status_error, without_urls
from selfopt.dialects.jsontext import as_dict, bounded_text, dump_json, parse_reply, printable
from selfopt.errors import Blame, EndpointError, EndpointFault, SettingsError
from selfopt.home import Redactor
from selfopt.records import EndpointConfig

if TYPE_CHECKING:
    from aiohttp.client import _RequestContextManager


RECORDED_FAULT_BYTES = 64_000
SHORTEST_IN_ERRORS = 4  # characters of a key; removing too much from an error does no harm
# llama.cpp and uvicorn close an idle connection after 5 s. Reusing it at that moment fails.
KEEP_ALIVE_S = 2.0
LONG_TEXT = 262_144
PROBE_TIMEOUT_S = 5.0
UNLOAD_TIMEOUT_S = 30.0
MARGIN = 8_000  # bytes read past the record, so that a key across its end is found


def _has_long_text(body: Mapping[str, Any]) -> bool:
    """Whether a message, a part of one or a picture is so long that writing it takes milliseconds."""
    for message in body.get("messages") or ():
        content = message.get("content") if isinstance(message, Mapping) else None
        if isinstance(message, Mapping) and any(len(picture) > LONG_TEXT for picture in message.get("images") or ()):
            return True
        for part in content if isinstance(content, list) else (content,):
            text = part.get("text") if isinstance(part, Mapping) else part
            if isinstance(text, str) and len(text) > LONG_TEXT:
                return True
    return False


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


class _TooLargeError(Exception):
    pass


_FAULTS = (_TooLargeError, TimeoutError, EndpointError, aiohttp.ClientError, HttpProcessingError, OSError, ValueError)


@lru_cache(maxsize=64)
def _timeout(total_s: float, connect_s: float) -> aiohttp.ClientTimeout:
    """An infinite ceil_threshold stops aiohttp from rounding long timeouts up to whole seconds."""
    return aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s, ceil_threshold=float("inf"))


class HttpClient:
    """The connections to one endpoint. Use it within one event loop, and `close` it.

    Keys are sent in headers only. `[key]` replaces them in everything that is recorded or shown,
    including replies that repeat them.
    """

    def __init__(self, config: EndpointConfig, base_url: str, headers: Mapping[str, str]) -> None:
        """Raises SettingsError when the key cannot be the value of a header."""
        self._config = config
        self.max_reply_bytes = config.max_reply_bytes
        key = config.api_key.get_secret_value() if config.api_key is not None else ""
        proxy = self._proxy = config.proxy.get_secret_value() if config.proxy is not None else None
        self._advice = ADVICE if proxy is None else ADVICE_BEHIND_PROXY
        secrets = [key, unquote(urlsplit(base_url).password or ""), unquote(urlsplit(proxy or "").password or "")]
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
        """Close all connections. Calling it again does nothing."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def call(self, call: Call) -> tuple[Any, float]:
        """Send a request and read the whole reply.

        Returns:
            The JSON of the reply, and the milliseconds that it took.

        Raises:
            EndpointError: anything goes wrong.
        """
        stream = await self.read(call)
        return (await stream.whole())[1], stream.latency_ms

    async def ask(self, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that a server answers within five seconds; empty if it does not."""
        try:
            return as_dict((await self.call(Call(url, body, PROBE_TIMEOUT_S)))[0])
        except EndpointError:
            return {}

    async def _begun(self, call: Call) -> HttpStream:
        """Prepare a request. A long body is written in a thread, not to block the event loop."""
        long = call.body is not None and _has_long_text(call.body)
        told = await asyncio.to_thread(self._told_in_slices, call) if long else self.redact(call.text)
        return HttpStream(self, call, told)

    def _told_in_slices(self, call: Call) -> str:
        if not self.has_key:
            return call.text
        return b"".join(self._errors.slices(call.text.encode("utf-8", "surrogatepass"))).decode("utf-8", "surrogatepass")

    async def read(self, call: Call) -> HttpStream:
        """Send a request and read the whole reply. Raises EndpointError if anything fails."""
        stream = await self._begun(call)
        try:
            response = await self._request(call)
            try:
                if not stream.began(response):
                    raise await self._refusal(stream, response)
                await stream.read_all()
            except BaseException:
                # A reply releases its connection by itself only when it is read to its end.
                response.release()
                raise
        except _FAULTS as error:
            raise self._translated(error, stream, call) from None
        return stream

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[HttpStream]:
        """Send a request whose reply is read as it arrives.

        Raises:
            EndpointError: anything goes wrong, here or inside the `async with` block.
        """
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
        # aiohttp would send the headers of a session, with the key, to the proxy too.
        headers = None if self._proxy is None else self._headers
        return session.request(
            "GET" if call.payload is None else "POST",
            call.url,
            data=call.payload,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            proxy=self._proxy,
        )

    async def _refusal(self, stream: HttpStream, response: aiohttp.ClientResponse) -> EndpointError:
        """The error for a reply whose status is not 2xx."""
        with suppress(ValueError):  # its status says more than a body that cannot be read
            async for _ in stream.chunks():
                if len(stream.received) >= RECORDED_FAULT_BYTES:
                    break
        return status_error(self._who, response.status, response.headers, stream.request_text, stream.recorded(), name=self._name)

    def redact(self, text: str) -> str:
        """The text without keys."""
        return self._errors.text(text) if self.has_key else text

    def fault(
        self, kind: EndpointFault, what: str, stream: HttpStream, fix: str | None = None, blames: Blame | None = None
    ) -> EndpointError:
        """Make an error of this endpoint, with the bodies sent and received so far.

        Args:
            kind: the kind of fault.
            what: what happened.
            stream: the reply.
            fix: what to do about an error that every attempt would repeat. It makes the error
                final.
            blames: as for `EndpointError`.
        """
        said = printable(self.redact(what))
        return EndpointError(
            f"{self._who}: {said}; {fix or self._advice[kind]}",
            told=f"endpoint {self._name}: {without_urls(said)}",
            kind=kind,
            status=stream.status or None,
            final=fix is not None,
            bodies=(stream.request_text, stream.recorded()),
            blames=blames,
        )

    def _open(self, isolate: bool) -> aiohttp.ClientSession:
        limit = self._config.max_connections
        connector = (
            aiohttp.TCPConnector(limit=limit, force_close=True)
            if isolate
            else aiohttp.TCPConnector(limit=limit, keepalive_timeout=KEEP_ALIVE_S)
        )
        cookies = aiohttp.DummyCookieJar()
        headers = self._headers if self._proxy is None else {"User-Agent": "selfopt"}
        self._sessions[isolate] = aiohttp.ClientSession(
            connector=connector, cookie_jar=cookies, headers=headers, auto_decompress=False
        )
        return self._sessions[isolate]

    def _translated(self, error: Exception, stream: HttpStream, call: Call) -> EndpointError:
        if isinstance(error, EndpointError):
            return error
        if isinstance(error, _TooLargeError):
            fix = "lower the variant's max_tokens, or raise the endpoint's max_reply_bytes"
            return self.fault("protocol", f"reply is larger than {self.max_reply_bytes} bytes", stream, fix, "content")
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return self.fault("connect", f"no connection within {call.connect_timeout_s:g} s", stream)
        if isinstance(error, TimeoutError):
            return self.fault("timeout", f"no complete reply within {call.timeout_s:g} s", stream)
        if isinstance(error, aiohttp.ClientConnectorError):
            # aiohttp's own text mentions TLS settings even for a plain HTTP server.
            why = error.os_error.strerror or str(error.os_error)
            is_proxy = self._proxy is not None and not isinstance(error, aiohttp.ClientSSLError)
            return self.fault("connect", f"cannot connect to {'the proxy ' * is_proxy}{error.host}:{error.port}: {why}", stream)
        if isinstance(error, aiohttp.InvalidURL):
            return self.fault("connect", f"cannot connect: {error}", stream)
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self.fault("connect", f"the proxy answered {error.status}", stream)
        if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
            return self.fault("protocol", f"no HTTP reply: {error.message}", stream)
        if type(error) is ValueError:
            return self.fault("protocol", str(error), stream)
        return self.fault("protocol", f"connection closed or reply broken: {type(error).__name__} {error}", stream)


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
            raise _TooLargeError

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
