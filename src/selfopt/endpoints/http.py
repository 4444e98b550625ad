"""The HTTP client of the adapters. It bounds time and size. Faults raise EndpointError."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from selfopt.dialects.faults import ADVICE, ADVICE_BEHIND_PROXY, PROXY_ADVICE, PROXY_KEY, shown_url, status_error, without_urls
from selfopt.dialects.jsontext import as_dict, printable
from selfopt.errors import Blame, EndpointError, EndpointFault, SettingsError
from selfopt.home import Redactor, secret_texts
from selfopt.records import EndpointConfig
from selfopt.records.trace import onward_trace

from .http_stream import RECORDED_FAULT_BYTES, Call, HttpStream, TooLargeError

if TYPE_CHECKING:
    from aiohttp.client import _RequestContextManager


SHORTEST_IN_ERRORS = 4  # characters of a key; removing too much from an error does no harm
# llama.cpp and uvicorn close an idle connection after 5 s. Reusing it at that moment fails.
KEEP_ALIVE_S = 2.0
LONG_TEXT = 262_144
PROBE_TIMEOUT_S = 5.0
UNLOAD_TIMEOUT_S = 30.0


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


_FAULTS = (TooLargeError, TimeoutError, EndpointError, aiohttp.ClientError, HttpProcessingError, OSError, ValueError)


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
        passwords = (unquote(urlsplit(url or "").password or "") for url in (base_url, proxy))
        secrets = [key, *passwords, *secret_texts(config.extra_body)]
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
        if (trace := onward_trace.get()) is not None:
            headers = {**(headers or {}), **trace.headers}
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
            blames: as for `EndpointError.blame`.
        """
        said = printable(self.redact(what))
        return EndpointError(
            f"{self._who}: {said}; {fix or self._advice[kind]}",
            told=f"endpoint {self._name}: {without_urls(said)}",
            kind=kind,
            status=stream.status or None,
            final=fix is not None,
            bodies=(stream.request_text, stream.recorded()),
        ).blame(blames)

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
        if isinstance(error, TooLargeError):
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
            advice = PROXY_ADVICE if error.status == PROXY_KEY else None
            return self.fault("connect", f"the proxy answered {error.status}", stream, advice)
        if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
            return self.fault("protocol", f"no HTTP reply: {error.message}", stream)
        if type(error) is ValueError:
            return self.fault("protocol", str(error), stream)
        return self.fault("protocol", f"connection closed or reply broken: {type(error).__name__} {error}", stream)
