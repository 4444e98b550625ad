"""Servers that speak OpenAI's chat completions: llama.cpp, vLLM, LM Studio, OpenRouter, OpenAI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from selfopt.dialects.faults import error_in_reply
from selfopt.dialects.jsontext import printable
from selfopt.dialects.openai_wire import StreamedParts, read_reply, request_body
from selfopt.dialects.wire import CleanPieces, Prepared, reply_of
from selfopt.errors import SettingsError
from selfopt.reading.thinking import ThinkingSplitter
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig

from .http import Call, HttpClient, HttpStream, bearer, is_loopback, normalise_base_url

__all__ = ["OpenAICompatibleEndpoint", "api_root"]


def api_root(base_url: str) -> str:
    """Where `/chat/completions` is: the URL itself, or with `/v1` where it has no path."""
    url = normalise_base_url(base_url)
    return url if urlsplit(url).path else f"{url}/v1"


class OpenAICompatibleEndpoint:
    """An `Endpoint` over POST /chat/completions. One call is one attempt."""

    def __init__(self, config: EndpointConfig) -> None:
        """SettingsError when the configuration has no usable base_url."""
        if not config.base_url:
            raise SettingsError(f"endpoint {config.name}: base_url is missing; give one such as http://127.0.0.1:8080")
        self._root = api_root(config.base_url)
        self._local = config.local or is_loopback(self._root)
        self._limit_key = "max_completion_tokens" if urlsplit(self._root).hostname == "api.openai.com" else "max_tokens"
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
            whole, splitter, clean = StreamedParts(), ThinkingSplitter(), CleanPieces(stream.secrets)
            async for line in stream.lines():
                payload = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if payload == "[DONE]":
                    whole.finished = True
                    break
                if not payload:
                    if line and not line.startswith((":", "event:", "id:", "retry:", "data:")):
                        raise stream.broken(f"no server-sent event: {printable(line, 120)}")
                    continue
                data = stream.parse(payload)
                self._refuse_error(data, stream)
                text, reasoning = whole.add(data)
                answer, thought = splitter.feed(text)
                calls = whole.ended()
                if answer or thought or reasoning or calls:
                    yield clean.chunk(answer, reasoning + thought, calls)
            if not whole.finished:
                raise stream.broken("stream ended in mid-reply")
            answer, thought = splitter.end()
            final = reply_of(whole.done(), stream.ended(), stream)
            yield clean.last(answer, thought, final)

    async def close(self) -> None:
        """Give back connections. May be called twice."""
        await self._client.close()

    def _call(self, request: ChatRequest, *, streamed: bool = False) -> Call:
        body = request_body(request, local=self._local, limit_key=self._limit_key)
        if streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return Call(
            f"{self._root}/chat/completions", body, request.timeout_s, request.connect_timeout_s, request.isolate or streamed
        )

    def _refuse_error(self, data: object, stream: HttpStream) -> None:
        found = error_in_reply(data)
        if found is not None:
            raise self._client.fault(*found, stream)
