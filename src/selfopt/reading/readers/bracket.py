"""Tool calls in brackets: [tool(arg=...), other(arg=...)]."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import ParsedReply, ReplyContent, ToolCall, ToolDefinition

from .base import CALL_LIMIT, Budget, Offered, clean_text, found, nothing
from .call_syntax import CALL_HEAD, read_call
from .literals import LiteralReader, UnreadableError

__all__ = ["BracketParser"]

_OPENER = re.compile(r"\[[ \t\r\n]*+")


class BracketParser:
    """Reads lists of calls in square brackets. A name that is not offered counts only when the brackets are the whole
    reply and every argument is named."""

    name = "bracket"

    def parse(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> ParsedReply:
        """The calls, or none."""
        text = clean_text(content.text).strip()
        if "[" not in text or "(" not in text:
            return nothing()
        offered, budget, reader = Offered.of(tools), Budget(), LiteralReader(text)
        calls: list[ToolCall] = []
        position = 0
        while (opener := _OPENER.search(text, position)) is not None and len(calls) <= CALL_LIMIT:
            position = opener.end()
            if CALL_HEAD.match(text, position) is None:
                continue
            try:
                listed, end = _list(reader, position, offered, whole=opener.start() == 0)
            except UnreadableError as stopped:
                if not budget.spend(stopped.position - opener.start()):
                    break
            else:
                calls += listed
                position = max(end, position)
        return found(self.name, calls, "bracketed calls") if calls else nothing()


def _list(reader: LiteralReader, position: int, offered: Offered, *, whole: bool) -> tuple[list[ToolCall], int]:
    calls: list[ToolCall] = []
    unknown = False
    while True:
        written = read_call(reader, position, offered)
        calls.append(written.call)
        if not written.offered:
            unknown = True
            if not (whole and written.keywords and written.call.arguments):
                raise UnreadableError(written.end)
        position = reader.skip(written.end)
        char = reader.text[position : position + 1]
        if char == ",":
            position = reader.skip(position + 1)
        elif char in ("]", ""):
            end = min(position + 1, len(reader.text))
            if unknown and reader.skip(end) < len(reader.text):
                raise UnreadableError(end)
            return calls, end
        else:
            raise UnreadableError(position)
