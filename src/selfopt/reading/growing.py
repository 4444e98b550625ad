"""Finds calls in a reply while it is being written, once no further text can change them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition

from .chain import chain_of
from .readers.base import CALL_LIMIT
from .surety import Surety

EARLY_LIMIT = 16_384
"""How many characters of an unfinished reply are searched for calls."""
# After this many searches without a new call, a reply is read only when it ends. Each search reads
# the whole text.
FRUITLESS = 32

# A call has to open the reply. Text before it might be thinking that the server's template opened,
# which only the closing tag shows.
_AT_ONCE = re.compile(r"\s*+(?:(?:```+|~~~+)[ \t]*+\w{0,32}+[ \t]*+\n\s*+)?+[{\[<]")


def by_native(parsers: Sequence[str]) -> bool:
    """Whether a chain begins with the calls that the server reports."""
    return next(iter(chain_of(tuple(parsers)).readers), "").partition("@")[0] == "native"


def certain_calls(
    parsers: Sequence[str], content: ReplyContent, tools: Sequence[ToolDefinition], messages: Sequence[Message] = ()
) -> tuple[ToolCall, ...]:
    """The calls that `read_calls` will find first, however the reply goes on. Never raises.

    Args:
        parsers: the names in the chain.
        content: the text so far, and the native calls that are complete.
        tools: the tools that were offered.
        messages: the conversation, for `fit`.

    Returns:
        The certain calls; empty if none is certain yet.
    """
    chain = chain_of(tuple(parsers))
    if chain.needs_logprobs:  # those of the whole reply
        return ()
    reader, text = chain.growing, content.text
    if reader is None or (not by_native(parsers) and (len(text) > EARLY_LIMIT or not _AT_ONCE.match(text))):
        return ()
    calls: Sequence[ToolCall] = reader.certain(content, tools)[:CALL_LIMIT]
    for repair in chain.repairs.values() if calls else ():
        if not isinstance(repair, Surety):
            calls, _ = repair(calls, messages, tools)
    return tuple(calls)


class GrowingReply:
    """A reply that arrives in pieces.

    Attributes:
        text: the text so far.
        goes_on: whether further pieces may still bring certain calls.
    """

    def __init__(self, parsers: Sequence[str], tools: Sequence[ToolDefinition], messages: Sequence[Message]) -> None:
        self._asked = (tools, messages)
        self._parsers = parsers
        self._native: list[ToolCall] = []
        self._known: tuple[ToolCall, ...] = ()
        self._fruitless = 0
        self.text = ""
        self.goes_on = chain_of(tuple(parsers)).growing is not None

    def add(self, text: str, calls: Sequence[ToolCall]) -> bool:
        """Add a piece. Returns whether `calls` may find more now."""
        self.text += text
        self._native += calls
        return bool(calls) or "}" in text or ">" in text

    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that are certain.

        Clears `goes_on` if the reply is too long or brought none for too long.
        """
        tools, messages = self._asked
        content = ReplyContent(text=self.text, tool_calls=tuple(self._native))
        known = certain_calls(self._parsers, content, tools, messages)
        self._fruitless += len(known) <= len(self._known)
        self._known = known
        self.goes_on = self._fruitless < FRUITLESS and len(self.text) <= EARLY_LIMIT
        return known
