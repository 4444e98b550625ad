"""OpenAI's Responses API for clients of the gateway: reads requests and writes answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from .carrying import refused_field
from .chat_body import BodyLimits, ChatBody
from .clients import ClientDialect, ClientRequest, NoWordsError, PassedOn, ReplyWriter
from .openai_client import reading_request
from .passed_responses import PassedResponses
from .refusal import Refusal
from .responses_body import ResponsesBody, reading_body
from .responses_fields import MOVED
from .responses_reply import ResponseWriter, error_event

NAME = "openai_responses"


class _ResponsesClient:
    name = NAME
    passed: PassedOn = PassedResponses()

    def reading_body(self, body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
        return reading_body(body, limits)

    def reading_request(self, chat: ChatBody, server: str) -> Generator[None, None, ClientRequest]:
        assert isinstance(chat, ResponsesBody)
        if chat.odd is not None:
            raise NoWordsError(chat.odd.reason, str(chat.odd), chat.odd.param, chat.odd.code)
        try:
            found = yield from reading_request(chat)
        except NoWordsError as odd:
            said = f"input, as a chat: {odd}" if odd.param == "messages" else str(odd)
            raise NoWordsError(odd.reason, said, MOVED.get(odd.param, odd.param)) from None
        refused = refused_field(server, found.request)
        if refused is not None:
            key, why = refused
            key = "top_logprobs" if key == "logprobs" and "include" not in chat.given else MOVED.get(key, key)
            raise NoWordsError("fields", f"{key}: {why}", key)
        return replace(found, unkept=True) if chat.wants_keeping and not chat.keeps else found

    def reply(self, request_id: str, model: str, chat: ChatBody) -> ReplyWriter:
        assert isinstance(chat, ResponsesBody)
        return ResponseWriter(request_id, model, chat.given, stored=chat.keeps)

    def fault(self, refusal: Refusal) -> bytes:
        return refusal.body()

    def broken_off(self, refusal: Refusal) -> bytes:
        return error_event(refusal, 0)


RESPONSES_CLIENT: ClientDialect = _ResponsesClient()
