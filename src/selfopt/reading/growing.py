"""The calls of a reply that is still being written, as soon as nothing that follows can change them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition

from .chain import chain_of
from .fit import fit_calls
from .readers.base import CALL_LIMIT, GrowingReader

__all__ = ["GrowingReply", "can_be_certain", "certain_calls"]

EARLY_LIMIT = 16_384
"""Characters of a reply in which calls are looked for before it ends."""
# Looks that found nothing new, after which a reply is left alone until its end: each costs as much as the reply is long.
FRUITLESS = 32

# Text before it could be thinking whose opening tag the server's template wrote: that is known when its closing tag comes.
_AT_ONCE = re.compile(r"\s*+(?:(?:```+|~~~+)[ \t]*+\w{0,32}+[ \t]*+\n\s*+)?+[{\[<]")


def can_be_certain(parsers: Sequence[str]) -> bool:
    """Whether `certain_calls` ever finds any: the first reader of a chain that finds calls wins, so only what the first one
    reads cannot be overruled, and not every reader reads calls one by one."""
    name, reader = next(iter(chain_of(tuple(parsers)).readers.items()), ("", None))
    return name == "native" or isinstance(reader, GrowingReader)


def certain_calls(
    parsers: Sequence[str], content: ReplyContent, tools: Sequence[ToolDefinition], messages: Sequence[Message] = ()
) -> tuple[ToolCall, ...]:
    """The calls with which `read_calls` begins for every reply that begins with this one. content: text, and native calls that
    have ended. Empty where more has to come before anything is certain. Never raises."""
    chain = chain_of(tuple(parsers))
    name, reader = next(iter(chain.readers.items()), ("", None))
    calls: Sequence[ToolCall] = ()
    if name == "native" and reader is not None:
        calls = reader.read(content, tools).calls
    elif isinstance(reader, GrowingReader) and len(content.text) <= EARLY_LIMIT and _AT_ONCE.match(content.text):
        calls = reader.certain(content.text, tools)
    kept = tuple(calls[:CALL_LIMIT])
    return tuple(fit_calls(kept, messages, tools)) if kept and chain.fits else kept


class GrowingReply:
    """A reply that comes in pieces, read by a chain as far as that is certain."""

    def __init__(self, parsers: Sequence[str], tools: Sequence[ToolDefinition], messages: Sequence[Message]) -> None:
        self._asked = (tools, messages)
        self._parsers = parsers
        self._native: list[ToolCall] = []
        self._known: tuple[ToolCall, ...] = ()
        self._fruitless = 0
        self.text = ""
        self.goes_on = can_be_certain(parsers)

    def add(self, text: str, calls: Sequence[ToolCall]) -> bool:
        """Take a piece; whether `calls` may find more now."""
        self.text += text
        self._native += calls
        return bool(calls) or "}" in text or ">" in text

    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that are certain. A reply that gave none for too long, or is too long, is left alone: `goes_on` is false then."""
        tools, messages = self._asked
        content = ReplyContent(text=self.text, tool_calls=tuple(self._native))
        known = certain_calls(self._parsers, content, tools, messages)
        self._fruitless += len(known) <= len(self._known)
        self._known = known
        self.goes_on = self._fruitless < FRUITLESS and len(self.text) <= EARLY_LIMIT
        return known
