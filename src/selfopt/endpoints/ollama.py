"""Ollama through its native API; its OpenAI-compatible one ignores keep_alive and num_ctx."""

from __future__ import annotations

import reprlib
from collections.abc import AsyncIterator

from selfopt.dialects.faults import error_message_of
from selfopt.dialects.ollama_wire import StreamedLines, read_reply, request_body
from selfopt.dialects.wire import CleanPieces, Prepared, reply_of, unsupported
from selfopt.errors import SettingsError
from selfopt.reading.thinking import ThinkingSplitter
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig

from .http import Call, HttpClient, HttpStream, bearer, normalise_base_url

__all__ = ["DEFAULT_PORT", "OllamaEndpoint", "ollama_root"]

DEFAULT_PORT = 11434


def ollama_root(config: EndpointConfig) -> str:
    """The server's URL. It may come from OLLAMA_HOST, so scheme and port may be missing. SettingsError when it is none."""
    if not config.base_url:
        raise SettingsError(f"endpoint {config.name}: base_url is missing; give one such as http://127.0.0.1:{DEFAULT_PORT}")
    return normalise_base_url(config.base_url, default_port=DEFAULT_PORT).removesuffix("/v1").removesuffix("/api")


class OllamaEndpoint:
    """An `Endpoint` over POST /api/chat. One call is one attempt. No headers come until the model is loaded, and a client
    that leaves cancels the load: warm up with a long timeout."""

    def __init__(self, config: EndpointConfig) -> None:
        """SettingsError when the configuration has no usable base_url."""
        self._name = config.name
        self._root = ollama_root(config)
        self._client = HttpClient(config, self._root, bearer(config))
        self._calls = Prepared(self._call)

    async def chat(self, request: ChatRequest) -> ChatReply:
        """One whole reply. EndpointError when it fails."""
        stream = await self._client.read(self._calls.of(request))
        text, data = await stream.whole()
        self._refuse_error(data, stream)
        try:
            parts = read_reply(data)
        except ValueError as error:
            raise stream.broken(str(error)) from None
        return reply_of(parts, text, stream)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatChunk]:
        """The reply in pieces; the last has `final`. EndpointError when it fails, also after pieces were given."""
        async with self._client.stream(self._call(request, streamed=True)) as stream:
            whole, splitter, clean = StreamedLines(), ThinkingSplitter(), CleanPieces(stream.secrets)
            async for line in stream.lines():
                if not line.strip():
                    continue
                data = stream.parse(line)
                self._refuse_error(data, stream)
                n_calls = len(whole.parts.tool_calls)
                text, reasoning = whole.add(data)
                answer, thought = splitter.feed(text)
                calls = tuple(whole.parts.tool_calls[n_calls:])  # each comes whole
                if answer or thought or reasoning or calls:
                    yield clean.chunk(answer, reasoning + thought, calls)
                if whole.finished:
                    break
            if not whole.finished:
                raise stream.broken("stream ended in mid-reply")
            answer, thought = splitter.end()
            yield clean.last(answer, thought, reply_of(whole.parts, stream.ended(), stream))

    async def close(self) -> None:
        """Give back connections. May be called twice."""
        await self._client.close()

    def _call(self, request: ChatRequest, *, streamed: bool = False) -> Call:
        if request.constraint is not None and request.constraint.kind == "grammar":
            raise unsupported(
                self._name, "output limited by a grammar", request, "use a variant with a JSON schema, or llama.cpp"
            )
        body = request_body(request, streamed=streamed)
        return Call(f"{self._root}/api/chat", body, request.timeout_s, request.connect_timeout_s, request.isolate or streamed)

    def _refuse_error(self, data: object, stream: HttpStream) -> None:
        error = data.get("error") if isinstance(data, dict) else None
        if error:
            raise self._client.fault("server", f"error in the reply: {error_message_of(data) or reprlib.repr(error)}", stream)
