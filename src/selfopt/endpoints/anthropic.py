"""Anthropic's Messages API."""

from __future__ import annotations

import reprlib
from collections.abc import AsyncIterator

from selfopt.dialects.anthropic_wire import StreamedEvents, read_reply, request_body
from selfopt.dialects.faults import error_message_of
from selfopt.dialects.jsontext import as_dict, as_str, printable
from selfopt.dialects.wire import CleanPieces, Prepared, reply_of, unsupported
from selfopt.errors import EndpointFault
from selfopt.records import ChatChunk, ChatReply, ChatRequest, EndpointConfig

from .http import Call, HttpClient, HttpStream, normalise_base_url

__all__ = ["AnthropicEndpoint"]

DEFAULT_BASE_URL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"
_KINDS: dict[str, EndpointFault] = {
    "authentication_error": "auth",
    "permission_error": "auth",
    "not_found_error": "not_found",
    "rate_limit_error": "rate_limited",
    "invalid_request_error": "bad_request",
    "request_too_large": "bad_request",
    "billing_error": "bad_request",
    "timeout_error": "timeout",
}


class AnthropicEndpoint:
    """An `Endpoint` over POST /v1/messages. One call is one attempt."""

    def __init__(self, config: EndpointConfig) -> None:
        """SettingsError when base_url is no URL; without one it is Anthropic's own."""
        self._name = config.name
        root = normalise_base_url(config.base_url or DEFAULT_BASE_URL).removesuffix("/v1")
        self._url = f"{root}/v1/messages"
        headers = {"anthropic-version": API_VERSION}
        if config.api_key is not None:
            headers["x-api-key"] = config.api_key.get_secret_value()
        self._client = HttpClient(config, root, headers)
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
            whole, clean = StreamedEvents(), CleanPieces(stream.secrets)
            async for line in stream.lines():
                if not line or line.startswith(("event:", ":", "id:", "retry:")):
                    continue
                if not line.startswith("data:"):
                    raise stream.broken(f"no server-sent event: {printable(line, 120)}")
                data = stream.parse(line.removeprefix("data:").strip())
                self._refuse_error(data, stream)
                text, thinking = whole.add(data)
                calls = whole.ended()
                if text or thinking or calls:
                    yield clean.chunk(text, thinking, calls)
                if whole.finished:
                    break
            if not whole.finished:
                raise stream.broken("stream ended in mid-reply")
            yield clean.last("", "", reply_of(whole.done(), stream.ended(), stream))

    async def close(self) -> None:
        """Give back connections. May be called twice."""
        await self._client.close()

    def _call(self, request: ChatRequest, *, streamed: bool = False) -> Call:
        if request.constraint is not None and request.constraint.kind == "grammar":
            raise unsupported(
                self._name, "output limited by a grammar", request, "use a variant with a JSON schema, or llama.cpp"
            )
        body = request_body(request, streamed=streamed)
        return Call(self._url, body, request.timeout_s, request.connect_timeout_s, request.isolate or streamed)

    def _refuse_error(self, data: object, stream: HttpStream) -> None:
        error = data.get("error") if isinstance(data, dict) else None
        if error:
            kind = _KINDS.get(as_str(as_dict(error).get("type")), "server")
            raise self._client.fault(kind, f"error in the reply: {error_message_of(data) or reprlib.repr(error)}", stream)
