"""JSON tool calls in the text: fenced or bare, one or several, with text around."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .base import CALL_LIMIT, NOTHING, SAYS_NONE, TEXT_LIMIT, Budget, Found, Offered, Segment, clean_text, segments
from .literals import LiteralReader, PartialReader, UndecidedError, UnreadableError
from .shapes import Shape, shape_of

__all__ = ["READER", "calls_in_json"]

_OPENERS = re.compile(r"[{\[]")
# A last line that may become a fence, which cuts what is before it.
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
        offered, budget, shape, fenced = Offered.of(tools), Budget(), Shape(), False
        for segment in segments(text):
            part = _read(segment, offered, budget)
            fenced = fenced or (segment.language is not None and bool(part.calls))
            shape.add(part)
            if budget.left <= 0 or len(shape.calls) > CALL_LIMIT:
                break
        if shape.calls:
            form = ("fenced JSON" if fenced else "bare JSON") + (", closing bracket supplied" if shape.repaired else "")
            return Found(shape.calls, form, shape.spans)
        return SAYS_NONE if shape.no_call or text.strip() == "[]" else NOTHING

    def certain(self, text: str, tools: Sequence[ToolDefinition]) -> tuple[ToolCall, ...]:
        """See `GrowingReader.certain`."""
        text = _ENDLESS.sub("", clean_text(text))
        parts, offered, budget, shape = list(segments(text)), Offered.of(tools), Budget(), Shape()
        for segment in parts[:-1]:
            shape.add(_read(segment, offered, budget))
        for segment in parts[-1:]:
            if len(shape.calls) <= CALL_LIMIT and budget.left > 2 * TEXT_LIMIT:
                _read_growing(segment, offered, budget, shape)
        return tuple(shape.calls[:CALL_LIMIT]) if budget.left > 2 * TEXT_LIMIT else ()


def calls_in_json(text: str, offered: Offered, budget: Budget) -> Shape:
    """What the JSON values of a piece of text amount to."""
    return _read(Segment(text), offered, budget)


def _is_code(segment: Segment) -> bool:
    """A block of program code is read only when it starts as data: code that mentions a call is not a call."""
    return (
        segment.language is not None and segment.language not in _DATA_LANGUAGES and segment.body.lstrip()[:1] not in ("{", "[")
    )


def _read(segment: Segment, offered: Offered, budget: Budget) -> Shape:
    shape, body = Shape(), segment.body
    if _is_code(segment):
        return shape
    reader, position = LiteralReader(body), 0
    while (opener := _OPENERS.search(body, position)) is not None and len(shape.calls) <= CALL_LIMIT:
        try:
            value, position = reader.value(opener.start())
        except UnreadableError as stopped:
            position = opener.start() + 1
            if not budget.spend(stopped.position - opener.start()):
                break
        else:
            part = shape_of(value, offered)
            if part.calls:
                shape.spans.append((segment.start + opener.start(), segment.start + position))
            shape.add(part)
    shape.repaired = reader.repaired and bool(shape.calls)
    return shape


def _read_growing(segment: Segment, offered: Offered, budget: Budget, shape: Shape) -> None:
    """Like `_read`, up to where it takes more text to tell."""
    if _is_code(segment):
        return
    reader, position = PartialReader(segment.body), 0
    while (opener := _OPENERS.search(segment.body, position)) is not None and len(shape.calls) <= CALL_LIMIT:
        try:
            value, position = reader.value(opener.start())
        except UnreadableError as stopped:
            position = opener.start() + 1
            if not budget.spend(stopped.position - opener.start()):
                return
        except UndecidedError:
            if opener.group() == "[":
                _read_items(reader, opener.end(), offered, shape)
            return
        else:
            shape.add(shape_of(value, offered))


def _read_items(reader: PartialReader, position: int, offered: Offered, shape: Shape) -> None:
    """The objects at the beginning of a list without an end. Whether the list is read or, with something wrong in it, what
    stands in it one by one: these come first, as long as nothing but objects is before them."""
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
