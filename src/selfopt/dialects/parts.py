"""What all dialects share: the parts of a reply, stream decoding, and ids of tool calls."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from pydantic import ValidationError

from selfopt.errors import EndpointError
from selfopt.reading.thinking import split_thinking
from selfopt.records import (
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

from .jsontext import as_dict, as_int, parse_json, parse_reply, printable
from .logprobs import read_logprobs

MAX_CALLS = 1024  # of one reply
_NO_USAGE, _NO_TIMINGS, _NO_EVIDENCE = Usage(), Timings(), LoadEvidence()


@dataclass(slots=True)
class Parts:
    """The parts of a reply in any dialect.

    Attributes:
        logprobs: the entry of each token, as received.
        stop_sequence: the text of the client that ended the reply, where the server tells it.
        thoughts: blocks of thinking that the server signed; it takes them again with the next turn.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    finish: FinishReason = "unknown"
    refused: bool = False
    model: str | None = None
    usage: Usage = _NO_USAGE
    timings: Timings = _NO_TIMINGS
    load: LoadEvidence = _NO_EVIDENCE
    logprobs: list[Any] = field(default_factory=list)
    thoughts: list[dict[str, Any]] = field(default_factory=list)
    stop_sequence: str | None = None

    def add_calls(self, message: dict[str, Any]) -> None:
        """Add the native tool calls of a message: see `calls_of`. Raises what `add_call` raises."""
        for call in calls_of(message):
            self.add_call(*call)

    def add_call(self, name: Any, arguments: Any, call_id: Any) -> bool:
        """Add a native tool call as received.

        A call is broken if it has no name, or if its arguments are not a JSON object.

        Returns:
            Whether it is whole.

        Raises:
            ValueError: there are more than MAX_CALLS.
        """
        place = len(self.tool_calls) + len(self.broken)
        if place >= MAX_CALLS:
            raise ValueError(f"more than {MAX_CALLS} tool calls")
        parsed = {} if arguments is None else arguments
        if isinstance(arguments, str):
            try:
                parsed = parse_json(arguments) if arguments.strip() else {}
            except ValueError:
                parsed = None
        elif isinstance(arguments, dict) and not _is_finite(arguments):
            parsed, arguments = None, json.dumps(arguments, ensure_ascii=False)
        known = call_id if isinstance(call_id, str) and call_id else None
        if isinstance(name, str) and name and isinstance(parsed, dict):
            self.tool_calls.append(ToolCall(name=name, arguments=parsed, id=known))
            return True
        # Where it stands among whole calls, and its id, so that a reader can put it back.
        more = given(at=place, id=known) if self.tool_calls else given(id=known)
        self.broken.append(json.dumps({"name": name, "arguments": arguments, **more}, ensure_ascii=False))
        return False

    def content(self) -> ReplyContent:
        """The content, with thinking between marks moved from the answer to the thinking."""
        return ReplyContent(**self.said())

    def said(self) -> dict[str, Any]:
        """The fields of `content`."""
        text, thought = split_thinking(self.text)
        thinking = self.thinking.strip()
        return {
            "text": text,
            "thinking": f"{thinking}\n{thought}" if thinking and thought else thinking or thought,
            "tool_calls": tuple(self.tool_calls),
            "broken_tool_calls": tuple(self.broken),
            "finish_reason": "tool_calls" if self.finish == "stop" and (self.tool_calls or self.broken) else self.finish,
            "refused": self.refused,
            "thoughts": tuple(self.thoughts),
            "stop_sequence": self.stop_sequence,
        }


def _is_finite(value: Any) -> bool:
    """Whether a JSON value holds neither NaN nor infinity."""
    if isinstance(value, float):
        return math.isfinite(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_is_finite(one) for one in inner)


def calls_of(message: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """The name, arguments and id of each native tool call of a message, as received, one after the other."""
    return map(call_of, listed_calls(message))


def listed_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The native tool calls of a message, or the pieces of calls in a delta, as received.

    Takes a list of calls, one call or calls by their index in place of a list, and the
    `function_call` of before there were lists. What is no object is an empty one.
    """
    listed = message.get("tool_calls")
    if isinstance(listed, dict):
        one = any(key in listed for key in ("function", "name"))
        listed = [listed] if one else [_placed(key, call) for key, call in listed.items()]
    if isinstance(listed, list) and listed:
        return [as_dict(call) for call in listed]
    legacy = message.get("function_call")
    return [legacy] if isinstance(legacy, dict) else []


def _placed(key: str, call: Any) -> dict[str, Any]:
    return {"index": int(key), **as_dict(call)} if key.isdecimal() and len(key) < 5 else as_dict(call)


def call_of(call: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The name, arguments and id of a native call as received, or of a piece of one."""
    function = call.get("function")
    inner = function if isinstance(function, dict) else {**call, "name": function} if isinstance(function, str) else call
    arguments = next((inner[key] for key in ("arguments", "parameters", "input") if key in inner), None)
    return inner.get("name"), arguments, call.get("id")


def index_of(call: dict[str, Any]) -> int | None:
    """The number that a piece gives its call."""
    index = call.get("index")
    return as_int(as_dict(call.get("function")).get("index") if index is None else index)


class StreamDecoder(ABC):
    """Builds a reply from the JSON values of a stream. `EventReader` finds these.

    Attributes:
        finished: whether the reply is complete.
        over: whether reading can stop.
        calling: what the last piece added to the names and arguments of calls; see `ChatChunk`.
        thought: the signed block of thinking that the last piece ended, if it did.
    """

    finished = False
    over = False
    calling = ""
    thought: dict[str, Any] | None = None

    @abstractmethod
    def add(self, data: Any) -> tuple[str, str]:
        """Add a piece of the reply.

        Returns:
            The text and the thinking that the piece adds.

        Raises:
            EndpointError: the piece reports an error.
            ValueError: it is not a piece of a reply.
        """
        ...

    def ended(self) -> tuple[ToolCall, ...]:
        """The tool calls that have been completed since the last call of this method."""
        return ()

    @abstractmethod
    def done(self) -> Parts:
        """The whole reply. Call this once, when the reply is finished."""
        ...


@dataclass(frozen=True, slots=True)
class Travelled:
    """How a reply was received.

    Attributes:
        request_text: the body that was sent.
        latency_ms: milliseconds until the end of the reply.
        first_byte_ms: milliseconds until its first byte.
        status: its HTTP status.
    """

    request_text: str
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    status: int = 200


def reply_of(
    parts: Parts, text: str, travel: Travelled, clean: Callable[[ReplyContent], ReplyContent] | None = None
) -> ChatReply:
    """Make the record of a reply.

    Args:
        parts: the parts of the reply.
        text: the body as received.
        travel: how the reply was received.
        clean: removes secrets from the content.

    Raises:
        EndpointError: `protocol`, when the reply has values that a record cannot hold.
    """
    try:
        content = parts.content()
        return ChatReply(
            content=content if clean is None else clean(content),
            model=parts.model,
            status=travel.status,
            usage=parts.usage,
            timings=parts.timings,
            load=parts.load,
            latency_ms=travel.latency_ms,
            first_byte_ms=travel.first_byte_ms,
            request_body=travel.request_text,
            reply_body=text,
            logprobs=read_logprobs(parts.logprobs),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise EndpointError(
            f"reply is not as documented: {first['loc']}: {first['msg']}; check that base_url names an endpoint of this kind",
            kind="protocol",
            status=travel.status,
            bodies=(travel.request_text, text[:64_000]),
        ) from None


def decode_body(decode: Callable[[Any], Parts], body: bytes) -> ChatReply:
    """Read the body of a successful reply. The record keeps neither request nor reply body.

    Raises:
        EndpointError: the body is not a reply, or reports an error.
    """
    try:
        return reply_of(decode(parse_reply(body.decode("utf-8"))), "", Travelled(""))
    except UnicodeDecodeError as error:
        said = f"reply is not UTF-8 (byte {error.start})"
    except ValueError as error:
        start = printable(body[:120].decode("utf-8", "replace"), 120)
        said = f"reply cannot be read: {error}: {start}" if body.strip() else "reply is empty"
    raise EndpointError(said, kind="protocol").blame("content")


def numbered(messages: Sequence[Message]) -> list[Message]:
    """Give every tool call and every tool result an id.

    A result without an id answers the first unanswered call of its name, or of any name if it has
    none. New ids depend only on the conversation.
    """
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


def beside_of(request: ChatRequest, dialect: str) -> dict[str, Any]:
    """The extra fields of a request for servers of this dialect, decoded."""
    fields = request.beside.get(dialect, {})
    return {key: msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value for key, value in fields.items()}


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {key: value for key, value in fields.items() if value is not None}


def refuse_grammar(endpoint: str, request: ChatRequest) -> None:
    """Raise EndpointError `bad_request` for a request with a grammar. Nothing has been sent."""
    if request.constraint is not None and request.constraint.kind == "grammar":
        raise EndpointError(
            f"endpoint {endpoint}: output limited by a grammar for model {request.model} is not possible here; "
            "use a variant with a JSON schema, or llama.cpp",
            kind="bad_request",
        )
