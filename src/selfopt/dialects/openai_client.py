"""OpenAI's chat completions for clients of the gateway: reads requests and writes answers."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from selfopt.records import ChatRequest, Message, Sampling, ToolCall

from .chat_body import STEP_BYTES, BodyLimits, ChatBody, reading_body
from .client_messages import plain_messages, reading_message
from .client_tools import KEPT_TOOLS_BYTES, chosen, offered
from .clients import ClientDialect, ClientRequest, PassedOn, PassReason, ReplyWriter, arguments_text
from .logprobs import written_logprobs
from .passed_chat import PassedChat
from .refusal import Refusal

NAME = "openai_chat"
# The fields that a `ChatRequest` has attributes for. `beside` holds all others.
UNDERSTOOD = frozenset(["model", "messages", "tools", "tool_choice", "stream", "stream_options"])
LEAST_BYTES = 512  # what a short message counts for in a step
_NULL = msgspec.Raw(b"null")
_LARGEST_LIMIT = 1_000_000
_SAMPLED = frozenset(["temperature", "top_p", "seed"])
_DEFAULT = Sampling(temperature=1.0, seed=None, max_tokens=4096)
_BLANK = ChatRequest(model="", messages=(), as_said=True)
_encode = msgspec.json.Encoder().encode


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None  # which the gateway's streams never have


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_scalar = msgspec.json.Decoder(int | float | bool | None).decode
_decode_stream_options = msgspec.json.Decoder(_StreamOptions | None).decode


def reading_request(chat: ChatBody) -> Generator[None, None, ClientRequest]:
    """See `ClientDialect.reading_request`. Each large message is a step of its own."""
    fields = chat.fields
    messages, beyond = plain_messages(fields["messages"]), None
    if messages is None:
        messages, beyond = yield from _reading_messages(chat)
    tools, odd_tools = offered(fields["tools"]) if "tools" in fields else ((), None)
    choice, kept, odd_choice = chosen(fields.get("tool_choice"), tools)
    numbers = _Numbers(fields)
    limit = numbers.limit()
    sampling = numbers.sampling(limit)
    parallel = numbers.value("parallel_tool_calls")
    wants_usage, odd_stream = _wants_usage(fields)
    beside = {key: value for key, value in fields.items() if key not in UNDERSTOOD and value != _NULL}
    return ClientRequest(
        # Everything is validated already, and `tools` must remain the same tuple.
        request=_BLANK.model_copy(
            update={
                "model": chat.model,
                "messages": tuple(messages),
                "tools": tools if kept is None else kept,
                "tool_choice": choice,
                "sampling": sampling,
                "beside": {NAME: beside} if beside else {},
            }
        ),
        max_tokens=limit,
        parallel=parallel is not False,
        wants_usage=wants_usage,
        size=chat.size,
        tools_kept=kept is None and len(fields.get("tools", b"")) <= KEPT_TOOLS_BYTES,
        beyond=beyond or odd_tools or odd_choice or ("sampling" if numbers.odd else None) or odd_stream,
    )


def _reading_messages(chat: ChatBody) -> Generator[None, None, tuple[list[Message], PassReason | None]]:
    """Read messages of any form, and what no variant has words for in them."""
    messages: list[Message] = []
    read = 0
    beyond: PassReason | None = None
    listed = _decode_list(chat.fields["messages"])
    if chat.size > STEP_BYTES:
        yield
    for place, raw in enumerate(listed):
        message, odd = yield from reading_message(raw, place)
        beyond = beyond or odd
        messages.append(message)
        read += max(len(raw), LEAST_BYTES)
        if read > STEP_BYTES:
            read = 0
            yield
    return messages, beyond


def _wants_usage(fields: Mapping[str, msgspec.Raw]) -> tuple[bool, PassReason | None]:
    try:
        options = _decode_stream_options(fields["stream_options"]) if "stream_options" in fields else None
    except msgspec.DecodeError:
        return False, "fields"
    return options is not None and options.include_usage is True, None


class _Numbers:
    """Reads numbers and switches.

    Attributes:
        odd: whether one of them is out of range, or something else.
    """

    def __init__(self, fields: Mapping[str, msgspec.Raw]) -> None:
        self._fields = fields
        self.odd = False

    def value(self, key: str) -> int | float | bool | None:
        """A number, a boolean or null."""
        try:
            raw = self._fields.get(key)
            return _decode_scalar(raw) if raw is not None else None
        except msgspec.DecodeError:
            self.odd = True
            return None

    def limit(self) -> int | None:
        """The client's limit on tokens."""
        for key in ("max_completion_tokens", "max_tokens"):
            value = self.value(key)
            if type(value) is int and 1 <= value <= _LARGEST_LIMIT:
                return value
            self.odd = self.odd or value is not None
        return None

    def sampling(self, limit: int | None) -> Sampling:
        """The client's sampling, without what is odd in it."""
        given: dict[str, Any] = {"max_tokens": min(limit, 32768)} if limit is not None else {}
        for key in filter(self._fields.__contains__, _SAMPLED):
            value = self.value(key)
            if value is not None and _fits(key, value):
                given[key] = value
            else:
                self.odd = self.odd or value is not None
        return _DEFAULT.model_copy(update=given) if given else _DEFAULT


def _fits(key: str, value: int | float | bool) -> bool:
    if isinstance(value, bool):
        return False
    if key == "seed":
        return isinstance(value, int)
    return 0 <= value <= 2 if key == "temperature" else 0 < value <= 1


class Completion(ReplyWriter):
    """See `ReplyWriter`."""

    def __init__(self, request_id: str, model: str) -> None:
        super().__init__()
        self.id = f"chatcmpl-{request_id.removeprefix('req-')}"
        self.created = int(time.time())
        self.model = model

    def _call(self, number: int, call: ToolCall) -> dict[str, Any]:
        return {
            "id": call.id or f"call_{self.id.removeprefix('chatcmpl-')}_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": arguments_text(call)},
        }

    def _usage(self) -> dict[str, Any]:
        usage = self.usage
        asked, said = usage.input_tokens or 0, usage.output_tokens or 0
        told: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
        if usage.cached_tokens is not None:
            told["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
        if usage.thinking_tokens is not None:
            told["completion_tokens_details"] = {"reasoning_tokens": usage.thinking_tokens}
        return told

    def whole(self) -> bytes:
        """See `ReplyWriter`."""
        content = self.text if (self.text or not self.calls) and not self.refused else None
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if self.refused:
            message["refusal"] = self.text
        if self.thinking:
            message["reasoning_content"] = self.thinking
        if self.thoughts:
            message["thinking_blocks"] = list(self.thoughts)
        if self.calls:
            message["tool_calls"] = [self._call(number, call) for number, call in enumerate(self.calls)]
        choice = {"index": 0, "message": message, "finish_reason": self.finish, "logprobs": self._logprobs()}
        return _encode({**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None, *, thinking: str = "") -> bytes:
        """See `ReplyWriter`."""
        if thinking:
            return self._delta({"reasoning_content": thinking})
        if call is not None:
            return self._delta({"tool_calls": [{"index": call[0], **self._call(*call)}]})
        return self._delta({"refusal" if self.refused else "content": text} if text else {"role": "assistant", "content": ""})

    def signed(self, thought: dict[str, Any]) -> bytes:
        """See `ReplyWriter`: in a field that clients of LiteLLM know, too."""
        return self._delta({"thinking_blocks": [thought]})

    def ending(self, *, with_usage: bool) -> bytes:
        """See `ReplyWriter`: the finish reason, the token counts, and [DONE]."""
        events = [self._delta({}, self.finish, self._logprobs())]
        if with_usage:
            events.append(self._event({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}))
        return b"".join(events) + b"data: [DONE]\n\n"

    def _logprobs(self) -> dict[str, Any] | None:
        return {"content": written_logprobs(self.logprobs, self.text), "refusal": None} if self.logprobs is not None else None

    def _delta(self, delta: dict[str, Any], finish: str | None = None, logprobs: dict[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return self._event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _event(self, body: dict[str, Any]) -> bytes:
        return b"data: %s\n\n" % _encode(body)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


class _OpenAIClient:
    name = NAME
    passed: PassedOn = PassedChat()

    def reading_body(self, body: bytes, limits: BodyLimits) -> Generator[None, None, ChatBody]:
        return reading_body(body, limits)

    def reading_request(self, chat: ChatBody, server: str) -> Generator[None, None, ClientRequest]:
        return reading_request(chat)

    def reply(self, request_id: str, model: str, chat: ChatBody) -> ReplyWriter:
        return Completion(request_id, model)

    def fault(self, refusal: Refusal) -> bytes:
        return refusal.body()

    def broken_off(self, refusal: Refusal) -> bytes:
        return b"data: %s\n\n" % refusal.body()


OPENAI_CLIENT: ClientDialect = _OpenAIClient()
