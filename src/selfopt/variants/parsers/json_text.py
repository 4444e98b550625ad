"""JSON tool calls in the text: fenced or bare, one or several, with text around."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import ParsedReply, ReplyContent, ToolDefinition

from .base import CALL_LIMIT, Budget, Offered, Segment, clean_text, found, nothing, segments
from .literals import LiteralReader, UnreadableError
from .shapes import Shape, shape_of

__all__ = ["JsonParser", "calls_in_json"]

_OPENERS = re.compile(r"[{\[]")
_DATA_LANGUAGES = frozenset(
    {"", "json", "json5", "jsonc", "jsonl", "tool_call", "tool_calls", "tool", "tools", "text", "txt", "plaintext"}
)


class JsonParser:
    """Reads JSON objects and arrays that have the shape of tool calls."""

    name = "json"

    def parse(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> ParsedReply:
        """The calls, or none."""
        text = clean_text(content.text)
        if "{" not in text and "[" not in text:
            return nothing()
        offered, budget, shape, repaired = Offered.of(tools), Budget(), Shape(), False
        fenced = False
        for segment in segments(text):
            part, mended = _read(segment, offered, budget)
            if part.calls:
                fenced = fenced or segment.language is not None
                repaired = repaired or mended
            shape.add(part)
            if budget.left <= 0 or len(shape.calls) > CALL_LIMIT:
                break
        if shape.calls:
            what = ("fenced JSON" if fenced else "bare JSON") + (", closing bracket supplied" if repaired else "")
            return found(self.name, shape.calls, what)
        if shape.no_call or text.strip() == "[]":
            return nothing("explicit none")
        return nothing()


def calls_in_json(text: str, offered: Offered, budget: Budget) -> Shape:
    """What the JSON values of a piece of text amount to."""
    return _read(Segment(text), offered, budget)[0]


def _read(segment: Segment, offered: Offered, budget: Budget) -> tuple[Shape, bool]:
    """A block of program code is read only when it starts as data: code that mentions a call is not a call."""
    shape, body = Shape(), segment.body
    if segment.language is not None and segment.language not in _DATA_LANGUAGES and body.lstrip()[:1] not in ("{", "["):
        return shape, False
    reader, position = LiteralReader(body), 0
    while (opener := _OPENERS.search(body, position)) is not None and len(shape.calls) <= CALL_LIMIT:
        try:
            value, position = reader.value(opener.start())
        except UnreadableError as stopped:
            position = opener.start() + 1
            if not budget.spend(stopped.position - opener.start()):
                break
        else:
            shape.add(shape_of(value, offered))
    return shape, reader.repaired
