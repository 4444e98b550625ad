"""The HTTP endpoint: a dialect and a transport."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from selfopt.dialects.asked_logprobs import AskedLogProbs
from selfopt.dialects.events import EventReader
from selfopt.dialects.kinds import Dialect
from selfopt.dialects.known_server import KnownServer
from selfopt.dialects.logprobs import without_logprobs
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.parts import Parts, StreamDecoder, Travelled, reply_of
from selfopt.dialects.servers import with_settings
from selfopt.errors import EndpointError
from selfopt.reading.thinking import ThinkingSplitter
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig, EnoughError

from .clean import CleanPieces, without_secrets
from .http import PROBE_TIMEOUT_S, HttpClient
from .http_stream import Call, HttpStream

T = TypeVar("T")


class Prepared:
    """Caches the HTTP call of each request for as long as the request lives.

    Every pass over a suite sends the same requests, and writing them takes much of a trial's time.
    """

    def __init__(self, prepare: Callable[[ChatRequest], Call]) -> None:
        self._prepare = prepare
        self._known: dict[int, tuple[weakref.ref[ChatRequest], Call]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def forget(self) -> None:
        """Write every call anew."""
        self._known.clear()

    def of(self, request: ChatRequest) -> Call:
        """The call for this request object. Raises what `prepare` raises."""
        key, known = id(request), self._known
        found = known.get(key)
        if found is None:
            found = (weakref.ref(request, lambda _: known.pop(key, None)), self._prepare(request))
            known[key] = found
        return found[1]


class HttpEndpoint:
    """An `Endpoint` over HTTP. Each call makes one attempt."""

    def __init__(self, config: EndpointConfig, dialect: Dialect) -> None:
        self._config = config
        self._dialect = dialect
        self._client = HttpClient(config, dialect.root, dialect.headers)
        self._calls = Prepared(self._call)
        self._logprobs = AskedLogProbs(config.max_reply_bytes)
        self._known = KnownServer(dialect) if isinstance(dialect, OpenAIChat) else None

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return one whole reply. Raises EndpointError when the request fails."""
        stream = await self._sent(request, lambda sent: self._client.read(self._calls.of(sent)), streamed=False)
        text, data = await stream.whole()
        reply = _reply(self._understood(stream, self._dialect.decode_reply, data), text, stream)
        if reply.logprobs is None or request.logprobs is None:
            return reply
        return reply.model_copy(update={"reply_body": without_logprobs(text)})

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the reply in pieces, the last of which has `final`.

        Raises:
            EndpointError: the request fails, possibly after some pieces.
        """
        async with self._opened(request) as stream:
            decoder, splitter, clean = self._dialect.decoder(), ThinkingSplitter(), CleanPieces(stream.secrets)
            async for value in self._values(stream, decoder):
                text, reasoning = self._understood(stream, decoder.add, value)
                answer, thought = splitter.feed(text)
                calls = decoder.ended()
                if not (answer or thought or reasoning or calls or decoder.calling or decoder.thought):
                    continue
                try:
                    yield clean.chunk(answer, reasoning + thought, calls, decoder.calling, decoder.thought)
                except EnoughError:
                    parts = self._understood(stream, lambda _: decoder.done(), None)
                    parts.finish = "length"
                    yield clean.last("", "", _reply(parts, stream.recorded(), stream))
                    return
            if not decoder.finished:
                raise self._client.fault("protocol", "stream ended in mid-reply", stream)
            answer, thought = splitter.end()
            parts = self._understood(stream, lambda _: decoder.done(), None)
            yield clean.last(answer, thought, _reply(parts, stream.ended(), stream))

    async def _values(self, stream: HttpStream, decoder: StreamDecoder) -> AsyncIterator[Any]:
        """Yield the JSON values of a stream until the reply is over."""
        events = EventReader()
        async for line in stream.lines():
            for value in self._understood(stream, events.read, line):
                yield value
            if events.done:
                decoder.finished = True
            if events.done or decoder.over:
                return
        for value in self._understood(stream, lambda _: events.end(), None):
            yield value

    async def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        await self._client.close()

    def _call(self, request: ChatRequest, *, streamed: bool = False) -> Call:
        body = with_settings(self._config, self._dialect.write_request(request, streamed=streamed))
        return Call(self._dialect.url, body, request.timeout_s, request.connect_timeout_s, request.isolate or streamed)

    @asynccontextmanager
    async def _opened(self, request: ChatRequest) -> AsyncIterator[HttpStream]:
        async with AsyncExitStack() as stack:

            async def send(sent: ChatRequest) -> HttpStream:
                return await stack.enter_async_context(self._client.stream(self._call(sent, streamed=True)))

            yield await self._sent(request, send, streamed=True)

    async def _sent(
        self, request: ChatRequest, send: Callable[[ChatRequest], Awaitable[HttpStream]], *, streamed: bool
    ) -> HttpStream:
        """Send a request, and again without what the server refuses and the request can do without."""
        await self._learn(request)
        first = sent = self._logprobs.allowed(request, streamed=streamed)
        while True:
            try:
                stream = await send(sent)
            except EndpointError as error:
                plain = self._logprobs.blamed(first, sent, error, streamed=streamed)
                if plain is None and not self._taught(sent, error):
                    raise
                sent = plain or sent
            else:
                self._logprobs.answered(first, sent, streamed=streamed)
                return stream

    async def _learn(self, request: ChatRequest) -> None:
        """Ask a local server what it is, before the first request that depends on it."""
        known, root = self._known, self._dialect.root
        if known is None or not known.needed(request):
            return

        async def told(url: str) -> Any:
            wait_s = min(PROBE_TIMEOUT_S, request.timeout_s)
            return (await self._client.call(Call(url, None, wait_s, request.connect_timeout_s)))[0]

        await known.ask(partial(told, f"{root}/models"), partial(told, f"{root.removesuffix('/v1')}/props"))
        self._calls.forget()

    def _taught(self, request: ChatRequest, error: EndpointError) -> bool:
        """Say whether the server refused a field of ours that the request can do without."""
        dialect = self._dialect
        if error.kind != "bad_request" or not isinstance(dialect, OpenAIChat) or not dialect.refused(request, error.reply_body):
            return False
        self._calls.forget()
        return True

    def _understood(self, stream: HttpStream, decode: Callable[[Any], T], data: Any) -> T:
        """Decode data. Raises EndpointError, which holds both bodies, when it is invalid."""
        try:
            return decode(data)
        except EndpointError as error:
            raise self._client.fault(error.kind, str(error), stream, blames=error.blames) from None
        except ValueError as error:
            raise stream.broken(str(error)) from None


def _reply(parts: Parts, text: str, stream: HttpStream) -> ChatReply:
    travelled = Travelled(stream.request_text, stream.latency_ms, stream.first_byte_ms, stream.status)
    reply = reply_of(parts, text, travelled, lambda content: without_secrets(content, stream.secrets))
    told = reply.logprobs.text if reply.logprobs is not None and stream.secrets.active else ""
    if stream.secrets.text(told) == told:
        return reply
    return reply.model_copy(update={"reply_body": without_logprobs(text), "logprobs": None})
