"""Tool calls as JSON in the text: fenced or bare, one or several, with other text around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.reading.readers.base import (
    CALL_LIMIT,
    NOTHING,
    SAYS_NONE,
    TEXT_LIMIT,
    Effort,
    Found,
    Offered,
    Segment,
    clean_text,
    segments,
)
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .literals import LiteralReader, PartialReader, UndecidedError, UnreadableError
from .shapes import Shape, shape_of

_OPENERS = re.compile(r"[{\[]")
# A last line that may become a code fence, which would end the text before it.
_ENDLESS = re.compile(r"^[ \t]{0,8}(?:`[^\n]*|~[^\n]*)?\Z", re.M)
_DATA_LANGUAGES = frozenset(
    {"", "json", "json5", "jsonc", "jsonl", "tool_call", "tool_calls", "tool", "tools", "text", "txt", "plaintext"}
)


class JsonReader:
    """Reads JSON objects and arrays that have the shape of tool calls."""

    version = 1

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        text = clean_text(content.text)
        if "{" not in text and "[" not in text:
            return NOTHING
        offered, effort, shape, fenced = Offered.of(tools), Effort(), Shape(), False
        for segment in segments(text):
            part = json_calls(segment, offered, effort)
            fenced = fenced or (segment.language is not None and bool(part.calls))
            shape.add(part)
            if effort.left <= 0 or len(shape.calls) > CALL_LIMIT:
                break
        if shape.calls:
            form = ("fenced JSON" if fenced else "bare JSON") + (", closing bracket supplied" if shape.repaired else "")
            return Found(shape.calls, form, shape.spans)
        return SAYS_NONE if shape.no_call or text.strip() == "[]" else NOTHING

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """See `GrowingReader.certain`."""
        parts, offered, effort, shape = (
            [*segments(_ENDLESS.sub("", clean_text(content.text)))],
            Offered.of(tools),
            Effort(),
            Shape(),
        )
        for segment in parts:
            shape.add(json_calls(segment, offered, effort, PartialReader if segment is parts[-1] else LiteralReader))
        return shape.calls if effort.left > 2 * TEXT_LIMIT else ()


def json_calls(segment: Segment, offered: Offered, effort: Effort, made: type[LiteralReader] = LiteralReader) -> Shape:
    """Find the calls among the JSON values of a segment.

    Program code is read only if it starts with data: code that mentions a call is no call.

    Args:
        segment: the text.
        offered: the tools that were offered.
        effort: what failed attempts may still cost.
        made: the class of the reader. A PartialReader stops where only more text could decide.
    """
    shape, body = Shape(), segment.body
    if segment.language is not None and segment.language not in _DATA_LANGUAGES and body.lstrip()[:1] not in ("{", "["):
        return shape
    reader, position = made(body), 0
    while (opener := _OPENERS.search(body, position)) is not None and len(shape.calls) <= CALL_LIMIT:
        try:
            value, position = reader.value(opener.start())
        except UnreadableError as stopped:
            position = opener.start() + 1
            if not effort.spend(stopped.position - opener.start()):
                break
        except UndecidedError:
            if opener.group() == "[":
                _read_items(reader, opener.end(), offered, shape)
            break
        else:
            part = shape_of(value, offered)
            if part.calls:
                shape.spans.append((segment.start + opener.start(), segment.start + position))
            shape.add(part)
    shape.repaired = reader.repaired and bool(shape.calls)
    return shape


def _read_items(reader: LiteralReader, position: int, offered: Offered, shape: Shape) -> None:
    """Add the calls at the beginning of a list that has no end yet.

    They are certain as long as nothing but objects precedes them: they come first whether the list
    is read as a whole or, because something in it is wrong, item by item.
    """
    try:
        position = reader.skip(position)
        while reader.text[position] == "{" and len(shape.calls) <= CALL_LIMIT:
            value, position = reader.value(position, 1)
            alone, listed = shape_of(value, offered), shape_of(value, offered, 1)
            if alone.calls != listed.calls:
                return
            shape.add(alone)
            position = reader.skip(position)
            if reader.text[position] != ",":
                return
            position = reader.skip(position + 1)
    except (UndecidedError, UnreadableError):
        return


READER = JsonReader()
