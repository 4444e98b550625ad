"""The OpenAI-compatible dialect as bytes, for whoever has connections of its own to such a server."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import ValidationError

from selfopt.errors import EndpointError
from selfopt.records import ChatReply, ChatRequest

from .faults import error_in_reply
from .jsontext import dump_json, parse_json, printable
from .openai_wire import read_reply, request_body

__all__ = ["OpenAIDialect"]


class OpenAIDialect:
    """Writes chats and reads replies as `OpenAICompatibleEndpoint` does, without sending anything."""

    def __init__(self, base_url: str, *, local: bool) -> None:
        self._local = local
        self._limit_key = "max_completion_tokens" if urlsplit(base_url).hostname == "api.openai.com" else "max_tokens"

    def write(self, request: ChatRequest) -> bytes:
        """The body of POST /chat/completions."""
        return dump_json(request_body(request, local=self._local, limit_key=self._limit_key))

    def read(self, body: bytes) -> ChatReply:
        """The reply in a body that came with a good status; neither body is kept in it. EndpointError when it is none, or tells an
        error."""
        try:
            data = parse_json(body.decode("utf-8"))
            found = error_in_reply(data)
            if found is not None:
                kind, said = found
                raise EndpointError(printable(said), kind=kind)
            parts = read_reply(data)
            return ChatReply(
                content=parts.content(), model=parts.model, usage=parts.usage, timings=parts.timings, load=parts.load
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise EndpointError(f"reply is not as documented: {first['loc']}: {first['msg']}", kind="protocol") from None
        except UnicodeDecodeError as error:
            raise EndpointError(f"reply is no UTF-8 (byte {error.start})", kind="protocol") from None
        except ValueError as error:
            start = printable(body[:120].decode("utf-8", "replace"), 120)
            raise EndpointError(
                f"reply cannot be read: {error}: {start}" if body.strip() else "reply is empty", kind="protocol"
            ) from None
