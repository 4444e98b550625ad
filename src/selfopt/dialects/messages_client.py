"""Anthropic's Messages for clients of the gateway: reads requests and writes answers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from .chat_body import BodyLimits, ChatBody
from .clients import ClientDialect, ClientRequest, PassedOn, ReplyWriter
from .messages_body import MessagesBody, reading_body
from .messages_fields import NAME, answer_form, choice, tools_for, words
from .messages_reply import MessageWriter
from .messages_turns import translating
from .openai_client import reading_request
from .passed_messages import PassedMessages, error_body, error_type
from .refusal import Refusal


class _MessagesClient:
    name = NAME
    passed: PassedOn = PassedMessages()

    def reading_body(self, body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
        return reading_body(body, limits)

    def reading_request(self, chat: ChatBody, server: str) -> Generator[None, None, ClientRequest]:
        """A request in OpenAI's words is made of it, and that is read."""
        assert isinstance(chat, MessagesBody)
        own = chat.own
        fields = tools_for(own, server) | choice(own) | answer_form(own) | words(own, server)
        fields["messages"] = yield from translating(own, server)
        written = ChatBody(fields, chat.model, chat.stream, chat.n_tools, chat.phase, chat.size, chat.calls_tools)
        asked = yield from reading_request(written)
        return replace(asked, wants_usage=True)

    def reply(self, request_id: str, model: str, chat: ChatBody) -> ReplyWriter:
        return MessageWriter(request_id, model)

    def fault(self, refusal: Refusal) -> bytes:
        return error_body(error_type(refusal.status), refusal.message, refusal.request_id)

    def broken_off(self, refusal: Refusal) -> bytes:
        return b"event: error\ndata: %s\n\n" % self.fault(refusal)


MESSAGES_CLIENT: ClientDialect = _MessagesClient()
