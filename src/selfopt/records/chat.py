"""One exchange with a model: messages, tools, request, reply. The shapes every endpoint adapter translates to and from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .base import Record

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "load", "unknown"]


class ToolDefinition(Record):
    """A tool that the model may call. `parameters` is a JSON Schema of type object."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})


class ToolCall(Record):
    """What the model asks for: a tool's name and its arguments."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    id: str | None = None


class Message(Record):
    """One message of a conversation. A tool result has role `tool` and the id (and name) of the call it answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None


class Sampling(Record):
    """How tokens are drawn. max_tokens bounds the answer; thinking_tokens is the separate budget of `<think>` text
    (0: thinking is switched off where the endpoint can)."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int | None = 0
    max_tokens: int = Field(default=256, ge=1, le=32768)
    thinking_tokens: int = Field(default=0, ge=0, le=65536)


class Constraint(Record):
    """A limit on what the model can write: a GBNF grammar (text) or a JSON Schema (object)."""

    kind: Literal["grammar", "json_schema"]
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None


class ChatRequest(Record):
    """What an endpoint is asked. `model` is the name that the server knows. Times in seconds.

    isolate: a fresh connection and no prompt cache, so that nothing of an earlier request can reach this one.
    keep_alive_s: ask the server to keep the model loaded that long (-1: for good), where it can.
    beside: by the name of a dialect, fields of a request in it that this record has no word for. A server that speaks the
    same dialect gets them as they are; any other gets none of them.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    sampling: Sampling = Sampling()
    constraint: Constraint | None = None
    timeout_s: float = Field(default=60.0, gt=0)
    connect_timeout_s: float = Field(default=5.0, gt=0)
    isolate: bool = False
    context_size: int | None = None
    keep_alive_s: float | None = None
    # What is hashed and kept of a request without it is the same text as before there was such a field.
    beside: dict[str, dict[str, Any]] = Field(default_factory=dict, exclude_if=lambda beside: not beside)


class Usage(Record):
    """Tokens, where the server tells. cached_tokens: the part of input_tokens taken from the prompt cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    thinking_tokens: int | None = None


class Timings(Record):
    """Milliseconds as the server reports them; None where it does not."""

    load_ms: float | None = None
    prompt_ms: float | None = None
    output_ms: float | None = None
    total_ms: float | None = None


class LoadEvidence(Record):
    """What speaks for this request having waited for the model to be loaded.

    before: residency just before the request, where it was asked; load_ms: as reported or derived; loaded: True when the
    evidence says that a load took place within the request, False when it says none did, None when there is none.
    """

    before: Literal["loaded", "loading", "unloaded", "sleeping", "unknown"] = "unknown"
    load_ms: float | None = None
    loaded: bool | None = None


class ReplyContent(Record):
    """What the model said, apart from how it travelled: the input of every parser, kept so that it can be judged again.

    text: the answer without thinking; thinking: `<think>` text or the server's reasoning field; tool_calls: those that
    the server itself recognised; broken_tool_calls: native ones whose arguments are no JSON object, as received.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    broken_tool_calls: tuple[str, ...] = ()
    finish_reason: FinishReason = "unknown"


class ChatReply(Record):
    """One successful reply. request_body / reply_body: exactly what was sent and received, as text (bounded)."""

    content: ReplyContent
    model: str | None = None
    status: int = 200
    usage: Usage = Usage()
    timings: Timings = Timings()
    load: LoadEvidence = LoadEvidence()
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    request_body: str = ""
    reply_body: str = ""


class ChatChunk(Record):
    """A piece of a streamed reply. The last one has `final` set, with the reply as it would have come in one piece.

    tool_calls: native ones that ended with this piece, in the order of the whole reply, where the server tells that before it ends.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    final: ChatReply | None = None
