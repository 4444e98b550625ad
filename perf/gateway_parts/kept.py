"""The gateway's real handler behind servers that others keep, or with another client: a process of its own, for `perf/http_servers.py`.

    python kept.py KIND PORT

KIND: `ours`; `ours_aiohttp_client`; `granian` (RSGI), `uvicorn` (ASGI, httptools, uvloop), `aiohttp`. Where records, rules and keys are is said by the
environment, as for `selfopt serve`. A server hands over the whole request; an answer goes back whole or piece by piece.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from selfopt.gateway import Gateway
from selfopt.web import Denied, HttpRequest, UpstreamReply
from selfopt.wiring import serving
from selfopt.wiring.app import App

__all__ = ["KINDS"]

KINDS = ("ours", "ours_aiohttp_client", "granian", "uvicorn", "aiohttp")
Header = tuple[bytes, bytes]


class KeptReply:
    """What the gateway writes an answer into. whole: status, headers and body, once `send` was called; pieces: of an answer in pieces, None at its end."""

    def __init__(self, begun: Callable[[KeptReply], None]) -> None:
        self._begun = begun
        self.keep_alive, self.status, self.ended, self.first_byte_at = True, 0, False, 0.0
        self.stuck = False
        self.headers: list[Header] = []
        self.body: bytes | None = None
        self.pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, status: int, headers: Sequence[bytes], body: bytes) -> None:
        """The whole answer."""
        self.status, self.headers, self.body, self.ended = status, _pairs(headers), body, True
        self.first_byte_at = perf_counter()

    def begin(self, status: int, headers: Sequence[bytes]) -> None:
        """The head of one in pieces."""
        self.status, self.headers = status, _pairs(headers)
        self.first_byte_at = perf_counter()
        self._begun(self)

    def write(self, data: bytes) -> None:
        """A piece."""
        self.pieces.put_nowait(data)

    def end(self) -> None:
        """No more."""
        self.ended = True
        self.pieces.put_nowait(None)

    abort = end

    def break_off(self, last: bytes) -> None:
        """A last piece."""
        self.write(last)
        self.end()

    def when_writable(self, told: Callable[[], None]) -> None:
        """Never asked for: it is never stuck."""


def _pairs(lines: Iterable[bytes]) -> list[Header]:
    found = []
    for line in lines:
        name, _, value = line.partition(b": ")
        found.append((name.lower(), value))
    return found


def _request(method: bytes, path: bytes, headers: Iterable[Header], body: bytes) -> HttpRequest:
    request = HttpRequest(asyncio.get_running_loop().time())
    request.method, request.path, request.body = method, path, body
    request.headers = dict(headers)
    return request


async def handle(gateway: Gateway, request: HttpRequest, reply: Any) -> None:
    """Answer one request."""
    try:
        answer = gateway.admit(request)
    except Denied as denied:
        reply.send(denied.status, denied.headers, denied.body)
    else:
        await answer(request, reply)


@asynccontextmanager
async def opened(*, aiohttp_client: bool = False) -> AsyncIterator[Gateway]:
    """The gateway of this environment with all its parts, without a listener."""
    async with App.open() as app, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        if aiohttp_client:
            vars(serving)["Pool"] = lambda: AiohttpPool(session)
        gateway = serving.build_gateway(app, serving.gateway_options(app, None, 0))
        gateway.parts.chat.rules.start()
        try:
            yield gateway
        finally:
            await gateway.close()


class AiohttpPool:
    """aiohttp's client in the place of our own."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(
        self, address: Any, payload: bytes, *, timeout_s: float, connect_timeout_s: float, max_bytes: int
    ) -> UpstreamReply:
        """A whole answer."""
        url, headers, body = _split(address, payload)
        async with self._session.post(url, data=body, headers=headers) as got:
            return UpstreamReply(got.status, {k.lower(): v for k, v in got.raw_headers}, await got.read())

    async def open(self, address: Any, payload: bytes, **how: Any) -> tuple[UpstreamReply, AiohttpStream]:
        """A streamed one."""
        url, headers, body = _split(address, payload)
        got = await self._session.post(url, data=body, headers=headers)
        return UpstreamReply(got.status, {k.lower(): v for k, v in got.raw_headers}, b""), AiohttpStream(got)

    def done(self, address: Any, stream: AiohttpStream) -> None:
        """Give it back."""
        stream.got.release()

    def prune(self) -> None:
        """The session does that itself."""

    close = prune


def _split(address: Any, payload: bytes) -> tuple[str, dict[str, str], bytes]:
    body = payload.partition(b"\r\n\r\n")[2]
    scheme = "https" if address.tls else "http"
    return f"{scheme}://{address.host}:{address.port}{address.path}/chat/completions", {"Content-Type": "application/json"}, body


class AiohttpStream:
    """The body of a streamed answer."""

    def __init__(self, got: aiohttp.ClientResponse) -> None:
        self.got = got
        self._sink: Callable[[bytes], None] = lambda data: None

    def pipe(self, sink: Callable[[bytes], None]) -> None:
        """Where pieces go."""
        self._sink = sink

    async def wait(self) -> None:
        """Until its end."""
        async for data in self.got.content.iter_any():
            self._sink(data)

    def go_on(self, pause_s: float, deadline: float) -> None:
        """Not bounded here."""

    def hold(self, held: bool) -> None:
        """Not paused here."""


async def _ours(port: int, kind: str) -> None:
    async with opened(aiohttp_client=kind != "ours") as gateway:
        own = gateway._options.own.model_copy(update={"port": port})
        gateway._options = replace(gateway._options, own=own)
        await gateway.start()
        await asyncio.Event().wait()


async def _aiohttp(port: int, kind: str) -> None:
    async with opened() as gateway:

        async def handler(asked: web.BaseRequest) -> web.StreamResponse:
            body = await asked.read()
            request = _request(
                asked.method.encode(), asked.rel_url.raw_path.encode(), ((k.lower(), v) for k, v in asked.raw_headers), body
            )
            pumping: list[asyncio.Task[web.StreamResponse]] = []
            reply = KeptReply(lambda reply: pumping.append(asyncio.ensure_future(pump(asked, reply))))
            await handle(gateway, request, reply)
            if pumping:
                return await pumping[0]
            return web.Response(status=reply.status, headers=_text(reply.headers), body=reply.body)

        async def pump(asked: web.BaseRequest, reply: KeptReply) -> web.StreamResponse:
            response = web.StreamResponse(status=reply.status, headers=_text(reply.headers))
            response.enable_chunked_encoding()
            await response.prepare(asked)
            while (piece := await reply.pieces.get()) is not None:
                await response.write(piece)
            await response.write_eof()
            return response

        server = web.Server(handler, access_log=None)
        await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
        await asyncio.Event().wait()


def _text(headers: Iterable[Header]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


class Asgi:
    """The gateway as an ASGI application."""

    gateway: Gateway

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        request = _request(scope["method"].encode(), scope["raw_path"], scope["headers"], body)
        pumping: list[asyncio.Task[None]] = []
        reply = KeptReply(lambda reply: pumping.append(asyncio.ensure_future(self._pump(reply, send))))
        await handle(self.gateway, request, reply)
        if pumping:
            await pumping[0]
            return
        assert reply.body is not None
        own = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": own})
        await send({"type": "http.response.body", "body": reply.body})

    async def _pump(self, reply: KeptReply, send: Any) -> None:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        while (piece := await reply.pieces.get()) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        async with opened() as self.gateway:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


class Rsgi:
    """The gateway as an RSGI application."""

    gateway: Gateway

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._life = opened()
        self.gateway = loop.run_until_complete(self._life.__aenter__())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.run_until_complete(self._life.__aexit__(None, None, None))

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        body = await protocol()
        headers = [(name.encode(), value.encode()) for name, value in scope.headers.items()]
        request = _request(scope.method.encode(), scope.path.encode(), headers, body)
        pumping: list[asyncio.Task[None]] = []
        reply = KeptReply(lambda reply: pumping.append(asyncio.ensure_future(self._pump(reply, protocol))))
        await handle(self.gateway, request, reply)
        if pumping:
            await pumping[0]
            return
        protocol.response_bytes(reply.status, list(_text(reply.headers).items()), reply.body)

    async def _pump(self, reply: KeptReply, protocol: Any) -> None:
        transport = protocol.response_stream(reply.status, list(_text(reply.headers).items()))
        while (piece := await reply.pieces.get()) is not None:
            await transport.send_bytes(piece)


asgi, rsgi = Asgi(), Rsgi()


def main(kind: str, port: int) -> None:
    """Serve until killed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if kind == "granian":
        from granian import Granian
        from granian.constants import Interfaces, Loops

        Granian(
            "kept:rsgi", address="127.0.0.1", port=port, interface=Interfaces.RSGI, loop=Loops.uvloop, workers=1, log_access=False, log_enabled=False
        ).serve()  # fmt: skip
    elif kind == "uvicorn":
        import uvicorn

        uvicorn.run(
            "kept:asgi", host="127.0.0.1", port=port, http="httptools", loop="uvloop", access_log=False, log_level="error"
        )
    else:
        uvloop.run((_aiohttp if kind == "aiohttp" else _ours)(port, kind))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
