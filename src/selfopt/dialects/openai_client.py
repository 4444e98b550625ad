"""OpenAI's chat completions for clients of the gateway: reads requests and writes answers."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from functools import lru_cache
from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from selfopt.records import ChatRequest, Message, Sampling, ToolCall, ToolDefinition

from .chat_body import STEP_BYTES, ChatBody
from .clients import ClientDialect, ClientRequest, RawCall, ReplyWriter
from .refusal import bad_request

NAME = "openai_chat"
# The fields that a `ClientRequest` can express. `beside` holds all others.
UNDERSTOOD = frozenset(
    [
        "model",
        "messages",
        "tools",
        "tool_choice",
        "temperature",
        "top_p",
        "seed",
        "max_tokens",
        "max_completion_tokens",
        "parallel_tool_calls",
        "stream",
        "stream_options",
    ]
)

MAX_TOOLS = 128
MAX_TOOLS_BYTES = 1_000_000
MAX_ARGUMENTS = 2_000_000
KEPT_TOOLS_BYTES = 65_536
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_ROLES: dict[str, Literal["system", "user", "assistant", "tool"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


class _Part(msgspec.Struct, gc=False):
    text: str


class _CalledFunction(msgspec.Struct):
    name: str
    arguments: str | None


class _Call(msgspec.Struct):
    function: _CalledFunction
    id: str | None = None


class _Said(msgspec.Struct):
    """A message, as far as records can express it.

    Fields are decoded by their type, so that decoding stops at the first wrong value: a million
    numbers in place of a text cost no more than one.
    """

    role: str
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")
    tool_call_id: str | None = None
    name: msgspec.Raw = msgspec.Raw(b"null")


class _Named(msgspec.Struct):
    name: str


class _NamedChoice(msgspec.Struct):
    function: _Named


_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_said = msgspec.json.Decoder(_Said).decode
_decode_content = msgspec.json.Decoder(str | list[_Part] | None).decode
_decode_calls = msgspec.json.Decoder(list[_Call] | None).decode
_decode_name = msgspec.json.Decoder(str | None).decode
_decode_scalar = msgspec.json.Decoder(int | float | bool | None).decode
_decode_choice = msgspec.json.Decoder(_NamedChoice | Literal["auto", "none", "required"] | None).decode


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_decode_stream_options = msgspec.json.Decoder(_StreamOptions | None).decode


def reading_request(chat: ChatBody) -> Generator[None, None, ClientRequest | None]:
    """See `ClientDialect.reading_request`. Each large message is a step of its own."""
    fields = chat.fields
    messages: list[Message] = []
    read = 0
    listed = _decode_list(fields["messages"])
    if chat.size > STEP_BYTES:
        yield
    for place, raw in enumerate(listed):
        message = yield from _message(raw, place)
        if message is None:
            return None
        messages.append(message)
        read += len(raw)
        if read > STEP_BYTES:
            read = 0
            yield
    tools = _offered(fields["tools"]) if "tools" in fields else ()
    choice, named = _choice(fields.get("tool_choice"))
    if named is not None:
        tools = tuple(tool for tool in tools if tool.name == named)
        if not tools:
            raise bad_request(f"tool_choice names {named!r}, which is not among the tools", "tool_choice")
    limit = _limit(fields)
    beside = {key: value for key, value in fields.items() if key not in UNDERSTOOD}
    return ClientRequest(
        # Everything is validated already, and `tools` must remain the same tuple.
        request=ChatRequest.model_construct(
            model=chat.model,
            messages=tuple(messages),
            tools=tools,
            tool_choice=choice,
            sampling=_sampling(fields, limit),
            beside={NAME: beside} if beside else {},
        ),
        max_tokens=limit,
        parallel=_value(fields, "parallel_tool_calls") is not False,
        wants_usage=_wants_usage(fields),
        size=chat.size,
        tools_kept=named is None and len(fields.get("tools", b"")) <= KEPT_TOOLS_BYTES,
    )


def _wants_usage(fields: dict[str, msgspec.Raw]) -> bool:
    try:
        options = _decode_stream_options(fields["stream_options"]) if "stream_options" in fields else None
    except msgspec.DecodeError:
        return False
    return options is not None and options.include_usage is True


def _value(fields: dict[str, msgspec.Raw], key: str) -> int | float | bool | None:
    """A number, a boolean or null. Raises Refusal (400) for anything else."""
    try:
        return _decode_scalar(fields[key]) if key in fields else None
    except msgspec.DecodeError as error:
        raise bad_request(f"{key}: {error}", key, "invalid_type") from None


def _limit(fields: dict[str, msgspec.Raw]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = _value(fields, key)
        if type(value) is int and 1 <= value <= 1_000_000:
            return value
        if value is not None:
            raise bad_request(f"{key} must be a whole number from 1", key)
    return None


def _text(raw: msgspec.Raw) -> str | None:
    """The text of a content: a text, null, or text parts. None for anything else."""
    try:
        content = _decode_content(raw)
    except msgspec.DecodeError:
        return None
    if isinstance(content, list):
        return "\n".join(piece.text for piece in content)
    return content or ""


def _message(raw: msgspec.Raw, place: int) -> Generator[None, None, Message | None]:
    try:
        said = _decode_said(raw)
    except msgspec.DecodeError as error:
        raise bad_request(f"messages[{place}]: {error}", "messages") from None
    large = len(raw) > STEP_BYTES
    if large:
        yield
    text = _text(said.content)
    if large:
        yield
    if text is None or said.role not in _ROLES:
        return None
    calls = []
    try:
        for call in _decode_calls(said.tool_calls) or ():
            arguments = call.function.arguments or "{}"
            if len(arguments) > MAX_ARGUMENTS:
                raise bad_request(f"messages[{place}].tool_calls: arguments of more than {MAX_ARGUMENTS} characters", "messages")
            read = ToolCall(name=call.function.name, arguments=_decode_object(arguments) if not large else {}, id=call.id)
            # Large arguments get a step of their own. Decoded JSON needs no validation.
            if large:
                yield
                read = read.model_copy(update={"arguments": _decode_object(arguments)})
            calls.append(read)
    except (ValueError, RecursionError, msgspec.DecodeError):
        raise bad_request(f"messages[{place}].tool_calls holds a call that cannot be read", "messages") from None
    try:
        return Message(
            role=_ROLES[said.role],
            content=text,
            tool_calls=tuple(calls),
            tool_call_id=said.tool_call_id,
            name=_decode_name(said.name) if said.role == "tool" else None,
        )
    except (ValidationError, msgspec.DecodeError) as error:
        told = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else error
        raise bad_request(f"messages[{place}]: {told}", "messages") from None


def _offered(raw: msgspec.Raw) -> tuple[ToolDefinition, ...]:
    """The tools that a client offers.

    Clients send the same tools with every chat. Their records are cached, so that the variant can
    cache by identity what it derives from them.
    """
    if len(raw) > MAX_TOOLS_BYTES:
        raise bad_request(f"tools of {len(raw)} bytes, at most {MAX_TOOLS_BYTES} are allowed", "tools", "array_above_max_length")
    text = bytes(raw)
    return _known_tools(text) if len(text) <= KEPT_TOOLS_BYTES else _tools(text)


def _tools(text: bytes) -> tuple[ToolDefinition, ...]:
    raw = _decode(text)
    if raw and len(raw) > MAX_TOOLS:
        raise bad_request(f"{len(raw)} tools, at most {MAX_TOOLS} are allowed", "tools", "array_above_max_length")
    tools: list[ToolDefinition] = []
    for place, entry in enumerate(raw or ()):
        function = entry.get("function") if isinstance(entry, dict) and entry.get("type") == "function" else None
        if not isinstance(function, dict):
            raise bad_request(f'tools[{place}] must be {{"type": "function", "function": ...}}', "tools")
        known = {"name": function.get("name"), "description": function.get("description") or ""}
        if function.get("parameters") is not None:
            known["parameters"] = function["parameters"]
        try:
            tool = ToolDefinition.model_validate(known)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise bad_request(f"tools[{place}].{'.'.join(map(str, first['loc']))}: {first['msg']}", "tools") from None
        if not tool.name or any(tool.name == other.name for other in tools):
            raise bad_request(f"tools[{place}]: its name is empty, or another tool has it", "tools")
        tools.append(tool)
    return tuple(tools)


_known_tools = lru_cache(maxsize=64)(_tools)


def _choice(raw: msgspec.Raw | None) -> tuple[Literal["auto", "none", "required"], str | None]:
    try:
        choice = _decode_choice(raw) if raw is not None else None
    except msgspec.DecodeError:
        raise bad_request("tool_choice must be none, auto, required or the name of a function", "tool_choice") from None
    return ("required", choice.function.name) if isinstance(choice, _NamedChoice) else (choice or "auto", None)


def _sampling(fields: dict[str, msgspec.Raw], limit: int | None) -> Sampling:
    given = {key: value for key in ("temperature", "top_p", "seed") if (value := _value(fields, key)) is not None}
    try:
        return Sampling.model_validate({"temperature": 1.0, "seed": None, **given, "max_tokens": min(limit or 4096, 32768)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise bad_request(f"{first['loc'][0]}: {first['msg']}", str(first["loc"][0])) from None


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
            "function": {"name": call.name, "arguments": _arguments(call)},
        }

    def _usage(self) -> dict[str, int]:
        asked, said = self.usage.input_tokens or 0, self.usage.output_tokens or 0
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}

    def whole(self) -> bytes:
        """See `ReplyWriter`."""
        content = self.text if (self.text or not self.calls) and not self.refused else None
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if self.refused:
            message["refusal"] = self.text
        if self.calls:
            message["tool_calls"] = [self._call(number, call) for number, call in enumerate(self.calls)]
        choice = {"index": 0, "message": message, "finish_reason": self.finish, "logprobs": None}
        return _encode({**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    def piece(self, text: str = "", call: tuple[int, ToolCall] | None = None) -> bytes:
        """See `ReplyWriter`."""
        if call is not None:
            return self._delta({"tool_calls": [{"index": call[0], **self._call(*call)}]})
        return self._delta({"refusal" if self.refused else "content": text} if text else {"role": "assistant", "content": ""})

    def ending(self, *, with_usage: bool) -> bytes:
        """See `ReplyWriter`: the finish reason, the token counts, and [DONE]."""
        events = [self._delta({}, self.finish)]
        if with_usage:
            events.append(self._event({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}))
        return b"".join(events) + b"data: [DONE]\n\n"

    def _delta(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return self._event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _event(self, body: dict[str, Any]) -> bytes:
        return b"data: %s\n\n" % _encode(body)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _arguments(call: ToolCall) -> str:
    return call.raw if isinstance(call, RawCall) else json.dumps(call.arguments, ensure_ascii=False)


class _OpenAIClient:
    name = NAME

    def reading_request(self, chat: ChatBody) -> Generator[None, None, ClientRequest | None]:
        return reading_request(chat)

    def reply(self, request_id: str, model: str) -> ReplyWriter:
        return Completion(request_id, model)


OPENAI_CLIENT: ClientDialect = _OpenAIClient()
