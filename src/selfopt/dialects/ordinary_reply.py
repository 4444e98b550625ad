"""Reads the reply of an OpenAI-compatible server in one step where it has the ordinary form.

Live traffic has little time for a reply. Most replies hold one choice with a text, or with calls
whose arguments are a text. A reply of any other form is left to `OpenAIChat.decode_reply`, which
also says what is wrong with it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from selfopt.records import ChatReply, ReplyContent, Timings, Usage

from .finish import finish_of
from .jsontext import LARGE_TEXT, MAX_DEPTH
from .parts import Parts

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] | None
Duration = Annotated[float, msgspec.Meta(ge=0, lt=float(1 << 62))] | None


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str


class _Call(msgspec.Struct, gc=False):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None


class _Cached(msgspec.Struct, gc=False):
    cached_tokens: Count = None


class _Thought(msgspec.Struct, gc=False):
    reasoning_tokens: Count = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: _Cached | None = None
    completion_tokens_details: _Thought | None = None


class _Timings(msgspec.Struct, gc=False):
    prompt_ms: Duration = None
    predicted_ms: Duration = None
    cache_n: Count = None


class _Reply(msgspec.Struct, gc=False):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1, max_length=1)]
    model: str | None = None
    usage: _Usage | None = None
    timings: _Timings | None = None
    error: None = None


_decode = msgspec.json.Decoder(_Reply).decode
# What is read by its type needs no validation.
_NO_USAGE, _NO_TIMINGS = Usage(), Timings()
_BLANK = ChatReply(content=ReplyContent())


def ordinary_reply(body: bytes) -> ChatReply | None:
    """Read the body of a successful reply. The record keeps neither request nor reply body.

    Returns:
        The same reply as `decode_body`; None for a body that is large, deep or of another form.
    """
    if len(body) > LARGE_TEXT or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return None
    try:
        if not body.isascii():
            body.decode("utf-8")  # also where nobody looks
        reply = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    choice = reply.choices[0]
    said = choice.message
    text, refusal = said.content or "", said.refusal or ""
    parts = Parts(
        text=text or refusal,
        thinking=said.reasoning_content or said.reasoning or "",
        finish=finish_of(choice.finish_reason),
        refused=bool(refusal and not text),
    )
    for call in said.tool_calls or ():
        parts.add_call(call.function.name, call.function.arguments, call.id)
    return _BLANK.model_copy(
        update={
            "content": _BLANK.content.model_copy(update=parts.said()),
            "model": reply.model or None,
            "usage": _usage(reply),
            "timings": _timings(reply.timings) if reply.timings is not None else _NO_TIMINGS,
        }
    )


def _usage(reply: _Reply) -> Usage:
    usage, cached = reply.usage, reply.timings.cache_n if reply.timings is not None else None
    if usage is None:
        return _NO_USAGE if cached is None else _NO_USAGE.model_copy(update={"cached_tokens": cached})
    before, thought = usage.prompt_tokens_details, usage.completion_tokens_details
    told = before.cached_tokens if before is not None else None
    return _NO_USAGE.model_copy(
        update={
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "cached_tokens": cached if told is None else told,
            "thinking_tokens": thought.reasoning_tokens if thought is not None else None,
        }
    )


def _timings(timings: _Timings) -> Timings:
    return _NO_TIMINGS.model_copy(update={"prompt_ms": timings.prompt_ms, "output_ms": timings.predicted_ms})
