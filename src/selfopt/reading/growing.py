"""The calls of a reply that is still being written, as soon as nothing that follows can change them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition

from .chain import chain_of
from .fit import fit_calls
from .readers.base import CALL_LIMIT
from .readers.native import READER as _NATIVE

EARLY_LIMIT = 16_384
"""Characters of a reply in which calls are looked for before it ends."""
# Looks that found nothing new, after which a reply is left alone until its end: each costs as much as the reply is long.
FRUITLESS = 32

# Text before it could be thinking whose opening tag the server's template wrote: that is known when its closing tag comes.
_AT_ONCE = re.compile(r"\s*+(?:(?:```+|~~~+)[ \t]*+\w{0,32}+[ \t]*+\n\s*+)?+[{\[<]")


def certain_calls(
    parsers: Sequence[str], content: ReplyContent, tools: Sequence[ToolDefinition], messages: Sequence[Message] = ()
) -> tuple[ToolCall, ...]:
    """The calls with which `read_calls` begins for every reply that begins with this one. content: text, and native calls that
    have ended. Empty where more has to come before anything is certain. Never raises."""
    chain = chain_of(tuple(parsers))
    reader, text = chain.growing, content.text
    if reader is None or (reader is not _NATIVE and (len(text) > EARLY_LIMIT or not _AT_ONCE.match(text))):
        return ()
    calls = tuple(reader.certain(content, tools)[:CALL_LIMIT])
    return tuple(fit_calls(calls, messages, tools)) if calls and chain.fits else calls


class GrowingReply:
    """A reply that comes in pieces, read by a chain as far as that is certain."""

    def __init__(self, parsers: Sequence[str], tools: Sequence[ToolDefinition], messages: Sequence[Message]) -> None:
        self._asked = (tools, messages)
        self._parsers = parsers
        self._native: list[ToolCall] = []
        self._known: tuple[ToolCall, ...] = ()
        self._fruitless = 0
        self.text = ""
        self.goes_on = chain_of(tuple(parsers)).growing is not None

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
