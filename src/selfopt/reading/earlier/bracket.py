"""Tool calls in brackets: [tool(arg=...), other(arg=...)]."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.reading.readers.base import CALL_LIMIT, NOTHING, Effort, Found, Offered, clean_text
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .call_syntax import CALL_HEAD, read_call
from .literals import LiteralReader, UnreadableError

_OPENER = re.compile(r"\[[ \t\r\n]*+")


class BracketReader:
    """Reads lists of calls in square brackets.

    A tool that is not offered counts only if the brackets are the whole reply and every argument
    has a name.
    """

    version = 1

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        cleaned = clean_text(content.text)
        text = cleaned.strip()
        if "[" not in text or "(" not in text:
            return NOTHING
        offered, effort, reader = Offered.of(tools), Effort(), LiteralReader(text)
        calls: list[ToolCall] = []
        spans: list[tuple[int, int]] = []
        position, shift = 0, len(cleaned) - len(cleaned.lstrip())
        while (opener := _OPENER.search(text, position)) is not None and len(calls) <= CALL_LIMIT:
            position = opener.end()
            if CALL_HEAD.match(text, position) is None:
                continue
            try:
                listed, end = _list(reader, position, offered, whole=opener.start() == 0)
            except UnreadableError as stopped:
                if not effort.spend(stopped.position - opener.start()):
                    break
            else:
                calls += listed
                position = max(end, position)
                spans.append((shift + opener.start(), shift + position))
        return Found(calls, "bracketed calls", spans) if calls else NOTHING


READER = BracketReader()


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
