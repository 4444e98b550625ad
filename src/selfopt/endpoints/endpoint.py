"""The HTTP endpoint: a dialect and a transport."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from selfopt.dialects.events import EventReader
from selfopt.dialects.kinds import Dialect
from selfopt.dialects.parts import Parts, StreamDecoder, Travelled, reply_of
from selfopt.errors import EndpointError
from selfopt.reading.thinking import ThinkingSplitter
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig

from .clean import CleanPieces, without_secrets
from .http import Call, HttpClient, HttpStream

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
        self._dialect = dialect
        self._client = HttpClient(config, dialect.root, dialect.headers)
        self._calls = Prepared(self._call)

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Return one whole reply. Raises EndpointError when the request fails."""
        stream = await self._client.read(self._calls.of(request))
        text, data = await stream.whole()
        return _reply(self._understood(stream, self._dialect.decode_reply, data), text, stream)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """Yield the reply in pieces, the last of which has `final`.

        Raises:
            EndpointError: the request fails, possibly after some pieces.
        """
        async with self._client.stream(self._call(request, streamed=True)) as stream:
            decoder, splitter, clean = self._dialect.decoder(), ThinkingSplitter(), CleanPieces(stream.secrets)
            async for value in self._values(stream, decoder):
                text, reasoning = self._understood(stream, decoder.add, value)
                answer, thought = splitter.feed(text)
                calls = decoder.ended()
                if answer or thought or reasoning or calls:
                    yield clean.chunk(answer, reasoning + thought, calls)
            if not decoder.finished:
                raise stream.broken("stream ended in mid-reply")
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
        body = self._dialect.write_request(request, streamed=streamed)
        return Call(self._dialect.url, body, request.timeout_s, request.connect_timeout_s, request.isolate or streamed)

    def _understood(self, stream: HttpStream, decode: Callable[[Any], T], data: Any) -> T:
        """Decode data. Raises EndpointError, which holds both bodies, when it is invalid."""
        try:
            return decode(data)
        except EndpointError as error:
            raise self._client.fault(error.kind, str(error), stream) from None
        except ValueError as error:
            raise stream.broken(str(error)) from None


def _reply(parts: Parts, text: str, stream: HttpStream) -> ChatReply:
    travelled = Travelled(stream.request_text, stream.latency_ms, stream.first_byte_ms, stream.status)
    return reply_of(parts, text, travelled, lambda content: without_secrets(content, stream.secrets))
