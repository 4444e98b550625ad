"""The calls of a reply that is still being written, as soon as nothing that follows can change them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import Message, ParserName, ReplyContent, ToolCall, ToolDefinition

from .fit import fit_calls
from .readers import JsonParser, NativeParser, XmlParser

__all__ = ["can_be_certain", "certain_calls"]

EARLY_LIMIT = 16_384
"""Characters of a reply in which calls are looked for before it ends."""

_READERS: dict[ParserName, JsonParser | XmlParser] = {"json": JsonParser(), "xml": XmlParser()}
# Text before it could be thinking whose opening tag the server's template wrote: that is known when its closing tag comes.
_AT_ONCE = re.compile(r"\s*+(?:(?:```+|~~~+)[ \t]*+\w{0,32}+[ \t]*+\n\s*+)?+[{\[<]")


def can_be_certain(parsers: Sequence[ParserName]) -> bool:
    """Whether `certain_calls` ever finds any: the first parser of a chain that recognises calls wins, so only what the first one
    reads cannot be overruled, and only these read calls one by one."""
    return parsers[0] in ("native", "json", "xml") if parsers else False


def certain_calls(
    parsers: Sequence[ParserName], content: ReplyContent, tools: Sequence[ToolDefinition], messages: Sequence[Message] = ()
) -> tuple[ToolCall, ...]:
    """The calls with which `read_reply` begins for every reply that begins with this one. content: text, and native calls that
    have ended. Empty where more has to come before anything is certain. Never raises."""
    calls = _as_written(parsers, content, tools)
    return tuple(fit_calls(calls, messages, tools)) if calls and "fit" in parsers else calls


def _as_written(parsers: Sequence[ParserName], content: ReplyContent, tools: Sequence[ToolDefinition]) -> tuple[ToolCall, ...]:
    first = parsers[0] if parsers else None
    if first == "native":
        return NativeParser().parse(content, tools).tool_calls if content.tool_calls else ()
    reader = _READERS.get(first) if first is not None else None
    if reader is None or len(content.text) > EARLY_LIMIT or not _AT_ONCE.match(content.text):
        return ()
    return reader.certain(content.text, tools)
