"""One exchange with a model: messages, tools, request and reply.

Every dialect translates to and from these.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .base import Record
from .logprobs import LogProbs

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "load", "unknown"]


class ToolDefinition(Record):
    """A tool that the model may call. `parameters` is a JSON Schema of type object.

    beside: keys of a client's tool that this record has no word for, such as `strict`. A server that
    takes the client's dialect gets them back.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    beside: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda beside: not beside)


class ToolCall(Record):
    """What the model asks for: a tool by name, with arguments."""

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    id: str | None = None


class Message(Record):
    """One message of a conversation.

    Attributes:
        tool_call_id, name: of the tool call that a result, with role `tool`, answers.
        pictures: URLs of pictures beside the text: `data:` or `https:`.
        beside: keys of a client's message that this record has no word for, such as a speaker's
            name. A server that takes the client's dialect gets them back.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    # A message without these two is hashed and stored as before they existed.
    pictures: tuple[str, ...] = Field(default=(), exclude_if=lambda pictures: not pictures)
    beside: dict[str, Any] = Field(default_factory=dict, exclude_if=lambda beside: not beside)


class Sampling(Record):
    """How tokens are drawn."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    seed: int | None = 0
    max_tokens: int = Field(default=256, ge=1, le=32768)  # of the answer, without thinking
    thinking_tokens: int = Field(default=0, ge=0, le=65536)  # budget of thinking; 0 switches it off where the endpoint can

    @property
    def draws_anew(self) -> bool:
        """Whether every reply is drawn anew, so that repeats of a request are no copies."""
        return self.temperature > 0 and self.seed is None


class Constraint(Record):
    """A limit on what the model can write: a GBNF grammar or a JSON Schema."""

    kind: Literal["grammar", "json_schema"]
    grammar: str | None = None
    json_schema: dict[str, Any] | None = None


class ChatRequest(Record):
    """What an endpoint is asked. Times are in seconds.

    Attributes:
        isolate: use a fresh connection and no prompt cache, so that no earlier request can affect
            this one.
        keep_alive_s: how long the server should keep the model loaded, where it can; -1: for good.
        beside: fields of a request that this record has no word for, by the name of their dialect.
            A server that speaks that dialect gets them unchanged. For another server they are
            translated, or the request is refused (`dialects.carrying`).
        as_said: the request is a client's own. `beside` holds its sampling, and `sampling` is not
            written: the server's own defaults hold for what the client does not say.
        logprobs: ask for the log probabilities of all tokens, with so many of the likeliest tokens
            at each place. They change no reply. A server that has none is asked without; None: not
            asked for.
    """

    model: str  # the name that the server knows
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
    # A request without this field is hashed and stored as before the field existed.
    beside: dict[str, dict[str, Any]] = Field(default_factory=dict, exclude_if=lambda beside: not beside)
    as_said: bool = Field(default=False, exclude_if=lambda as_said: not as_said)
    logprobs: int | None = Field(default=None, ge=1, le=20, exclude_if=lambda logprobs: logprobs is None)


class Usage(Record):
    """Numbers of tokens; None where the server does not report them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None  # the part of input_tokens that came from the prompt cache
    thinking_tokens: int | None = None


class Timings(Record):
    """Times in milliseconds, as the server reports them; None where it does not."""

    load_ms: float | None = None
    prompt_ms: float | None = None
    output_ms: float | None = None
    total_ms: float | None = None


class LoadEvidence(Record):
    """Evidence on whether a request waited for the model to be loaded."""

    before: Literal["loaded", "loading", "unloaded", "sleeping", "unknown"] = "unknown"  # residency just before the request
    load_ms: float | None = None  # reported by the server, or derived
    loaded: bool | None = None  # whether a load took place during the request; None without evidence


class ReplyContent(Record):
    """What the model said, without how it was transported.

    It is the input of every parser, and is kept so that a new parser can be judged on it.
    """

    text: str = ""  # the answer without thinking
    thinking: str = ""  # `<think>` text, or the server's reasoning field
    tool_calls: tuple[ToolCall, ...] = ()  # those that the server itself recognised
    broken_tool_calls: tuple[str, ...] = ()  # native tool calls whose arguments are not a JSON object, as received
    finish_reason: FinishReason = "unknown"
    # Whether the text is a refusal, which some servers give in a field of its own.
    refused: bool = Field(default=False, exclude_if=lambda refused: not refused)
    # Observed beside what was said: no part of what is written down or hashed. None: not known.
    logprobs: LogProbs | None = Field(default=None, exclude=True, repr=False)
    # How likely each tool was, by its name, and none, by "", where the model was asked to choose first: log
    # probabilities in nats. They follow from the replies to the steps, and are not written down either.
    picked: dict[str, float] | None = Field(default=None, exclude=True, repr=False)
    # Blocks of thinking as their server signed them: clients send them back to it. They are not written down.
    thoughts: tuple[dict[str, Any], ...] = Field(default=(), exclude=True, repr=False)
    # The text of the client that ended the reply, where the server tells it. It is not written down either.
    stop_sequence: str | None = Field(default=None, exclude=True, repr=False)


class ChatReply(Record):
    """One successful reply. Times are in milliseconds.

    Attributes:
        reply_body: exactly what was received, up to the endpoint's limit. Where `logprobs` were
            asked for and came, it has null in their place.
        logprobs: None where none were asked for, none came, or what came cannot be read.
    """

    content: ReplyContent
    model: str | None = None
    status: int = 200
    usage: Usage = Usage()
    timings: Timings = Timings()
    load: LoadEvidence = LoadEvidence()
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    request_body: str = ""  # exactly what was sent
    reply_body: str = ""
    logprobs: LogProbs | None = Field(default=None, exclude_if=lambda logprobs: logprobs is None)


class ChatChunk(Record):
    """A piece of a streamed reply.

    Attributes:
        tool_calls: native tool calls that ended with this piece, in the order of the whole reply.
            Empty when the server reports tool calls only at the end.
        thought: a signed block of thinking that ended with this piece.
        calling: what it adds to the names and arguments of native tool calls, in any form.
        final: in the last piece, the whole reply.
    """

    text: str = ""
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    calling: str = ""
    thought: dict[str, Any] | None = None
    final: ChatReply | None = None
