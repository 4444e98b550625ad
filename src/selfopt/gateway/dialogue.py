"""Between a chat as clients write it and the records that variants and adapters work on."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from selfopt.records import Message, Sampling, ToolCall, ToolDefinition, Usage

from .body import ChatBody
from .refusal import bad_request

__all__ = ["Completion", "Dialogue", "read_dialogue"]

MAX_TOOLS = 128
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


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What a chat asks. choice: `auto`, `none` or `required`; a named tool is the only one of `tools` then, and required.
    max_tokens: as the client says, None where it does not. parallel: several calls may come back."""

    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...]
    choice: Literal["auto", "none", "required"]
    max_tokens: int | None
    parallel: bool
    sampling: Sampling


def read_dialogue(chat: ChatBody) -> Dialogue | None:
    """The chat as records; None when it holds what they have no words for (pictures, sounds). Refusal (400) for broken tools
    and messages."""
    fields = chat.fields
    messages: list[Message] = []
    for place, raw in enumerate(_decode(fields["messages"])):
        text = _text(raw.get("content"))
        if text is None or raw["role"] not in _ROLES:
            return None
        messages.append(_message(raw, text, place))
    tools = _offered(fields["tools"]) if "tools" in fields else ()
    choice, named = _choice(_decode(fields["tool_choice"]) if "tool_choice" in fields else None)
    if named is not None:
        tools = tuple(tool for tool in tools if tool.name == named)
        if not tools:
            raise bad_request(f"tool_choice names {named!r}, which is none of the tools", "tool_choice")
    limit = _limit(fields)
    return Dialogue(
        messages=tuple(messages),
        tools=tools,
        choice=choice,
        max_tokens=limit,
        parallel=_value(fields, "parallel_tool_calls") is not False,
        sampling=_sampling(fields, limit),
    )


def _value(fields: dict[str, msgspec.Raw], key: str) -> Any:
    return _decode(fields[key]) if key in fields else None


def _limit(fields: dict[str, msgspec.Raw]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = _value(fields, key)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
            raise bad_request(f"{key} must be a whole number from 1", key)
        return value
    return None


def _text(content: Any) -> str | None:
    """Text, nothing, or pieces of text; None for anything else."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and isinstance(p.get("text"), str) for p in content):
        return "\n".join(piece["text"] for piece in content)
    return None


def _message(raw: dict[str, Any], text: str, place: int) -> Message:
    calls = []
    try:
        for call in raw.get("tool_calls") or ():
            arguments = _decode(call["function"]["arguments"] or "{}")
            calls.append(ToolCall(name=call["function"]["name"], arguments=arguments, id=call.get("id")))
    except (KeyError, TypeError, ValueError, RecursionError, msgspec.DecodeError):
        raise bad_request(f"messages[{place}].tool_calls holds a call that cannot be read", "messages") from None
    try:
        return Message(
            role=_ROLES[raw["role"]],
            content=text,
            tool_calls=tuple(calls),
            tool_call_id=raw.get("tool_call_id"),
            name=raw.get("name") if raw["role"] == "tool" else None,
        )
    except ValidationError as error:
        raise bad_request(f"messages[{place}]: {error.errors(include_url=False)[0]['msg']}", "messages") from None


def _offered(raw: msgspec.Raw) -> tuple[ToolDefinition, ...]:
    """The tools. A client sends the same ones with every chat: what was made of them is kept, and with it whatever the variant made
    of these very records."""
    text = bytes(raw)
    return _known_tools(text) if len(text) <= KEPT_TOOLS_BYTES else _tools(_decode(text))


@lru_cache(maxsize=64)
def _known_tools(text: bytes) -> tuple[ToolDefinition, ...]:
    return _tools(_decode(text))


def _tools(raw: Any) -> tuple[ToolDefinition, ...]:
    if raw and len(raw) > MAX_TOOLS:
        raise bad_request(f"{len(raw)} tools, at most {MAX_TOOLS} are taken", "tools", "array_above_max_length")
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
            raise bad_request(f"tools[{place}]: its name is empty or that of another tool", "tools")
        tools.append(tool)
    return tuple(tools)


def _choice(raw: Any) -> tuple[Literal["auto", "none", "required"], str | None]:
    if raw is None or raw == "auto":
        return "auto", None
    if raw == "none":
        return "none", None
    if raw == "required":
        return "required", None
    if isinstance(raw, dict) and isinstance(raw.get("function"), dict) and isinstance(raw["function"].get("name"), str):
        return "required", raw["function"]["name"]
    raise bad_request("tool_choice must be none, auto, required or the name of a function", "tool_choice")


def _sampling(fields: dict[str, msgspec.Raw], limit: int | None) -> Sampling:
    given = {key: value for key in ("temperature", "top_p", "seed") if (value := _value(fields, key)) is not None}
    try:
        return Sampling.model_validate({"temperature": 1.0, "seed": None, **given, "max_tokens": min(limit or 4096, 32768)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise bad_request(f"{first['loc'][0]}: {first['msg']}", str(first["loc"][0])) from None


class Completion:
    """An answer put together here: in one piece, or as the pieces of a stream."""

    __slots__ = ("calls", "created", "finish", "id", "model", "text", "usage")

    def __init__(self, request_id: str, model: str) -> None:
        self.id = f"chatcmpl-{request_id.removeprefix('req-')}"
        self.created = int(time.time())
        self.model = model
        self.text = ""
        self.calls: Sequence[ToolCall] = ()
        self.finish = "stop"
        self.usage = Usage()

    def settle(self, text: str, calls: Sequence[ToolCall], finish: str, usage: Usage) -> None:
        """The reply is whole."""
        self.text, self.calls, self.usage = text, calls, usage
        self.finish = "tool_calls" if calls else "length" if finish == "length" else "stop"

    def _call(self, number: int, call: ToolCall) -> dict[str, Any]:
        return {
            "id": call.id or f"call_{self.id.removeprefix('chatcmpl-')}_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }

    def _usage(self) -> dict[str, int]:
        asked, said = self.usage.input_tokens or 0, self.usage.output_tokens or 0
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}

    def whole(self) -> bytes:
        """The body of an answer in one piece."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text if self.text or not self.calls else None}
        if self.calls:
            message["tool_calls"] = [self._call(number, call) for number, call in enumerate(self.calls)]
        choice = {"index": 0, "message": message, "finish_reason": self.finish, "logprobs": None}
        return _encode({**self._head("chat.completion"), "choices": [choice], "usage": self._usage()})

    def piece(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        """One event of a stream."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return self._event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def called(self, number: int, call: ToolCall) -> bytes:
        """The event of one call, whole. number: among the calls of this answer, from 0."""
        return self.piece({"tool_calls": [{"index": number, **self._call(number, call)}]})

    def ending(self, *, with_usage: bool) -> bytes:
        """The events after text and calls: the reason, the figures, the end."""
        events = [self.piece({}, self.finish)]
        if with_usage:
            events.append(self._event({**self._head("chat.completion.chunk"), "choices": [], "usage": self._usage()}))
        return b"".join(events) + b"data: [DONE]\n\n"

    def _event(self, body: dict[str, Any]) -> bytes:
        return b"data: %s\n\n" % _encode(body)

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}
