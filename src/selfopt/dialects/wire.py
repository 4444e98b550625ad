"""What the dialects have in common: ids of calls, arguments, the parts of a reply."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from selfopt.errors import EndpointError
from selfopt.home import Redactor
from selfopt.reading.thinking import split_thinking
from selfopt.records import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    FinishReason,
    LoadEvidence,
    Message,
    ReplyContent,
    Timings,
    ToolCall,
    Usage,
)

from .jsontext import parse_json

if TYPE_CHECKING:
    from selfopt.endpoints.http import Call, HttpStream

__all__ = ["CleanPieces", "Parts", "Prepared", "Travelled", "numbered", "reply_of", "unsupported"]


MAX_CALLS = 1024  # of one reply
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
        """A native call as received; one without a name or whose arguments are no JSON object counts as broken. ValueError when there
        are more than MAX_CALLS."""
        if len(self.tool_calls) + len(self.broken) >= MAX_CALLS:
            raise ValueError(f"more than {MAX_CALLS} tool calls")
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
        text, thinking = self.text, self.thinking.strip()
        if "think>" in text:
            text, thought = split_thinking(text)
            thinking = "\n".join(part for part in (thinking, thought) if part)
        finish = "tool_calls" if self.finish == "stop" and (self.tool_calls or self.broken) else self.finish
        return ReplyContent(
            text=text,
            thinking=thinking,
            tool_calls=tuple(self.tool_calls),
            broken_tool_calls=tuple(self.broken),
            finish_reason=finish,
        )


class Prepared:
    """The calls that requests come to, each kept for as long as its request lives: a prompt is asked again in every pass,
    and writing its request is a good part of what a trial costs."""

    def __init__(self, prepare: Callable[[ChatRequest], Call]) -> None:
        self._prepare = prepare
        self._known: dict[int, tuple[weakref.ref[ChatRequest], Call]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, request: ChatRequest) -> Call:
        """The call of this very request. Raises what preparing it raises."""
        key, known = id(request), self._known
        found = known.get(key)
        if found is None:
            found = (weakref.ref(request, lambda _: known.pop(key, None)), self._prepare(request))
            known[key] = found
        return found[1]


@dataclass(frozen=True, slots=True)
class Travelled:
    """How a reply travelled that came without HTTP. Milliseconds."""

    request_text: str
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    status: int = 200


def reply_of(parts: Parts, text: str, travelled: HttpStream | Travelled) -> ChatReply:
    """The record of a reply. text: everything that was received. EndpointError `protocol` when the server's figures or
    texts cannot be kept."""
    try:
        return ChatReply(
            content=_without_secrets(parts.content(), travelled.secrets if not isinstance(travelled, Travelled) else None),
            model=parts.model,
            status=travelled.status,
            usage=parts.usage,
            timings=parts.timings,
            load=parts.load,
            latency_ms=travelled.latency_ms,
            first_byte_ms=travelled.first_byte_ms,
            request_body=travelled.request_text,
            reply_body=text,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise EndpointError(
            f"reply is not as documented: {first['loc']}: {first['msg']}; check that base_url names an endpoint of this kind",
            kind="protocol",
            status=travelled.status,
            request_body=travelled.request_text,
            reply_body=text[:64_000],
        ) from None


def _without_secrets(content: ReplyContent, secrets: Redactor | None) -> ReplyContent:
    """The content without a key that came in pieces, none of which showed it."""
    if secrets is None or not secrets.active:
        return content
    clean = {
        "text": secrets.text(content.text),
        "thinking": secrets.text(content.thinking),
        "tool_calls": _clean_calls(content.tool_calls, secrets),
        "broken_tool_calls": tuple(map(secrets.text, content.broken_tool_calls)),
    }
    return content.model_copy(update=clean)


def _clean_calls(calls: tuple[ToolCall, ...], secrets: Redactor) -> tuple[ToolCall, ...]:
    return tuple(_clean_call(call, secrets) for call in calls) if secrets.active else calls


def _clean_call(call: ToolCall, secrets: Redactor) -> ToolCall:
    said = json.dumps([call.name, call.arguments, call.id], ensure_ascii=False)
    clean = secrets.text(said)
    if clean == said:
        return call
    name, arguments, call_id = json.loads(clean)
    return ToolCall(name=name, arguments=arguments, id=call_id)


class CleanPieces:
    """The pieces of a streamed reply without the keys in them, also where a key comes in several."""

    __slots__ = ("_secrets", "_text", "_thinking")

    def __init__(self, secrets: Redactor) -> None:
        self._secrets = secrets
        self._text = secrets.stream()
        self._thinking = secrets.stream()

    def chunk(self, text: str, thinking: str, calls: tuple[ToolCall, ...]) -> ChatChunk:
        """The next piece."""
        if self._secrets.active:
            text, thinking = self._text.feed_text(text), self._thinking.feed_text(thinking)
            calls = _clean_calls(calls, self._secrets)
        return ChatChunk(text=text, thinking=thinking, tool_calls=calls)

    def last(self, text: str, thinking: str, final: ChatReply) -> ChatChunk:
        """The last piece with the whole reply."""
        text = self._text.feed_text(text) + self._text.end().decode()
        thinking = self._thinking.feed_text(thinking) + self._thinking.end().decode()
        return ChatChunk(text=text, thinking=thinking, final=final)


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
