"""OpenAI's Responses API for clients of the gateway: reads requests and writes answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .chat_body import (
    STEP_BYTES,
    BodyLimits,
    ChatBody,
    at_once,
    count_tools,
    model_in,
    read_field,
    reading_fields,
    wants_stream,
)
from .clients import ClientDialect, ClientRequest, NoWordsError, ReplyWriter
from .openai_client import reading_request
from .refusal import Refusal, bad_request
from .responses_fields import MOVED, translating_fields
from .responses_items import is_empty
from .responses_reply import ResponseWriter, error_event

NAME = "openai_responses"
_NULL = msgspec.Raw(b"null")
_ELSEWHERE = ("previous_response_id", "conversation", "prompt")


class _Head(msgspec.Struct, gc=False):
    role: str | None = None
    type: str | None = None


_decode_input = msgspec.json.Decoder(str | list[_Head] | None).decode
_decode_flag = msgspec.json.Decoder(bool | None).decode
_encode = msgspec.json.Encoder().encode
_WHAT = "a text, or a list of items"


@dataclass(slots=True, eq=False)
class ResponsesBody(ChatBody):
    """A request of the Responses API.

    Attributes:
        fields: what it says in the words of a chat, as far as there are words.
        given: the top-level keys as the client wrote them.
        odd: the first that there are no words for; None if there are for all.
    """

    given: dict[str, msgspec.Raw] = field(default_factory=dict)
    odd: NoWordsError | None = None

    def forwarded(
        self,
        server_model: str,
        finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        streamed: bool = False,
    ) -> bytes:
        """See `ChatBody`."""
        fields = self.given if finish is None else finish({**self.given})
        return _encode({**fields, "model": server_model})


def reading_body(body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
    """See `ClientDialect.reading_body`."""
    given = yield from reading_fields(body, limits)
    model = model_in(given)
    if read_field({"background": given.get("background", _NULL)}, "background", _decode_flag, "true or false"):
        raise bad_request("background must be false: the gateway answers at once", "background", "unsupported_value")
    elsewhere = any(not is_empty(given.get(key, _NULL)) for key in _ELSEWHERE)
    items = read_field(given if not elsewhere else {"input": _NULL, **given}, "input", _decode_input, _WHAT)
    yield
    if not (items or elsewhere) or (isinstance(items, list) and len(items) > limits.max_messages):
        n_items = len(items or ())
        raise bad_request(f"input must be a text, or 1 to {limits.max_messages} items, not {n_items}", "input")
    n_tools = count_tools(given, limits)
    yield
    stream = wants_stream(given)
    heads = items if isinstance(items, list) else [_Head("user")]
    used = any(head.type is not None and "call" in head.type for head in heads)
    answered = any(head.type is not None and head.type.endswith("_output") for head in heads)
    extended = elsewhere or answered or sum(head.role == "user" for head in heads) > 1
    steps = translating_fields(given)
    told = at_once(steps) if len(body) <= STEP_BYTES else (yield from steps)
    return ResponsesBody(
        told.fields,
        model,
        stream,
        n_tools,
        "extended" if extended else "atomic",
        len(body),
        bool(n_tools) or used,
        given,
        told.odd,
    )


class _ResponsesClient:
    name = NAME

    def reading_body(self, body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
        return reading_body(body, limits)

    def reading_request(self, chat: ChatBody) -> Generator[None, None, ClientRequest]:
        assert isinstance(chat, ResponsesBody)
        if chat.odd is not None:
            raise NoWordsError(chat.odd.reason, str(chat.odd), chat.odd.param)
        try:
            found = yield from reading_request(chat)
        except NoWordsError as odd:
            raise NoWordsError(odd.reason, str(odd), MOVED.get(odd.param, odd.param)) from None
        return found

    def reply(self, request_id: str, model: str, chat: ChatBody) -> ReplyWriter:
        assert isinstance(chat, ResponsesBody)
        return ResponseWriter(request_id, model, chat.given)

    def fault(self, refusal: Refusal) -> bytes:
        return refusal.body()

    def broken_off(self, refusal: Refusal) -> bytes:
        return error_event(refusal, 0)


RESPONSES_CLIENT: ClientDialect = _ResponsesClient()
