"""What the dialects have in common: ids of calls, arguments, the parts of a reply."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from selfopt.errors import EndpointError
from selfopt.records import ChatReply, ChatRequest, FinishReason, LoadEvidence, Message, ReplyContent, Timings, ToolCall, Usage

from .http import HttpStream
from .jsontext import as_dict, parse_json
from .thinking import split_thinking

__all__ = ["Parts", "Travelled", "error_in", "numbered", "unsupported"]


_NO_USAGE, _NO_TIMINGS, _NO_EVIDENCE = Usage(), Timings(), LoadEvidence()


@dataclass(slots=True)
class Parts:
    """A reply of any dialect, taken apart."""

    text: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    finish: FinishReason = "unknown"
    model: str | None = None
    usage: Usage = _NO_USAGE
    timings: Timings = _NO_TIMINGS
    load: LoadEvidence = _NO_EVIDENCE

    def add_call(self, name: Any, arguments: Any, call_id: Any) -> None:
        """A native call as received; one without a name or whose arguments are no JSON object counts as broken."""
        parsed = arguments
        if isinstance(arguments, str):
            try:
                parsed = parse_json(arguments) if arguments.strip() else {}
            except ValueError:
                parsed = None
        elif arguments is None:
            parsed = {}
        if isinstance(name, str) and name and isinstance(parsed, dict):
            self.tool_calls.append(
                ToolCall(name=name, arguments=parsed, id=call_id if isinstance(call_id, str) and call_id else None)
            )
        else:
            self.broken.append(json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False))

    def content(self) -> ReplyContent:
        """The content, `<think>` text moved out of the answer."""
        text, thought = split_thinking(self.text)
        thinking = "\n".join(part for part in (self.thinking.strip(), thought) if part)
        finish = "tool_calls" if self.finish == "stop" and (self.tool_calls or self.broken) else self.finish
        return ReplyContent(
            text=text,
            thinking=thinking,
            tool_calls=tuple(self.tool_calls),
            broken_tool_calls=tuple(self.broken),
            finish_reason=finish,
        )


@dataclass(frozen=True, slots=True)
class Travelled:
    """How a reply travelled. Milliseconds."""

    request_body: str
    reply_body: str
    status: int = 200
    latency_ms: float = 0.0
    first_byte_ms: float | None = None

    @classmethod
    def of(cls, stream: HttpStream, text: str, latency_ms: float) -> Travelled:
        """How this one did. text: everything that was received."""
        return cls(stream.request_text, text, stream.status, latency_ms, stream.first_byte_ms)

    def reply(self, parts: Parts) -> ChatReply:
        """The record of it. EndpointError `protocol` when the server's figures or texts cannot be kept."""
        try:
            return ChatReply(
                content=parts.content(),
                model=parts.model,
                status=self.status,
                usage=parts.usage,
                timings=parts.timings,
                load=parts.load,
                latency_ms=self.latency_ms,
                first_byte_ms=self.first_byte_ms,
                request_body=self.request_body,
                reply_body=self.reply_body,
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise EndpointError(
                f"reply is not as documented: {first['loc']}: {first['msg']}; check that base_url names an endpoint of this kind",
                kind="protocol",
                status=self.status,
                request_body=self.request_body,
                reply_body=self.reply_body[:64_000],
            ) from None


def numbered(messages: Sequence[Message]) -> list[Message]:
    """The messages with an id on every call and every tool result. A result without one answers the first call of its
    name (or of any name) that is still unanswered. Ids made here are the same for the same conversation."""
    open_calls: list[ToolCall] = []
    count = 0
    result: list[Message] = []
    for message in messages:
        if message.tool_calls:
            calls = []
            for call in message.tool_calls:
                calls.append(call if call.id else call.model_copy(update={"id": f"call_{count}"}))
                count += 1
            open_calls.extend(calls)
            result.append(message.model_copy(update={"tool_calls": tuple(calls)}))
        elif message.role == "tool":
            wanted = message.tool_call_id
            answered = next((c for c in open_calls if (c.id == wanted if wanted else message.name in (None, c.name))), None)
            if answered is not None:
                open_calls.remove(answered)
            name = message.name or (answered.name if answered else None)
            call_id = wanted or (answered.id if answered else None) or f"call_{count}"
            result.append(message.model_copy(update={"tool_call_id": call_id, "name": name}))
        else:
            result.append(message)
    return result


def unsupported(endpoint: str, what: str, request: ChatRequest, instead: str) -> EndpointError:
    """The error for a request that this dialect has no words for; nothing was sent."""
    return EndpointError(
        f"endpoint {endpoint}: {what} for model {request.model} is not possible here; {instead}", kind="bad_request"
    )


def error_in(data: Any) -> Any:
    """The error object of a reply whose status was good, or None."""
    error = as_dict(data).get("error")
    return error or None
