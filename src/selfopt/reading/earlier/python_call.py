"""Tool calls as Python: tool(arg=...), on its own line or in a fenced block of calls."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.reading.readers.base import CALL_LIMIT, NOTHING, Effort, Found, Offered, Segment, clean_text, segments
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .call_syntax import CALL_HEAD, read_call
from .literals import LiteralReader, UnreadableError

_LINE = re.compile(r"^[ \t]*+(?:[-*>][ \t]++|[0-9]{1,3}[.)][ \t]++)?+`{0,2}+(?:print\()?+", re.M)
_AFTER_LINE = re.compile(r"\)?[`;.]{0,3}+[ \t]*+(?=\r?\n|\Z)")
_BETWEEN = re.compile(r"(?:[ \t\r\n;]++|#[^\n]*+)*+")
_TARGET = re.compile(r"(?:[^\W\d]\w{0,63}+[ \t]*+=(?!=)[ \t]*+)?+(?:await[ \t]++)?+(?:print\()?+")


class PythonCallReader:
    """Reads statements that call an offered tool. A call inside other code does not count."""

    version = 1

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        text = clean_text(content.text)
        if "(" not in text:
            return NOTHING
        offered, effort = Offered.of(tools), Effort()
        calls: list[ToolCall] = []
        spans: list[tuple[int, int]] = []
        fenced = False
        for segment in segments(text):
            if segment.language is None:
                part = _lines(segment, offered, effort, spans)
            elif part := _block(segment, offered):
                fenced = True
                start = segment.start + len(segment.body) - len(segment.body.lstrip())
                spans.append((start, segment.start + len(segment.body.rstrip())))
            calls += part
            if len(calls) > CALL_LIMIT or effort.left <= 0:
                break
        return Found(calls, "fenced Python calls" if fenced else "Python calls", spans) if calls else NOTHING


def _block(segment: Segment, offered: Offered) -> list[ToolCall]:
    """The calls of a block in which each statement calls an offered tool; else empty."""
    reader = LiteralReader(segment.body)
    calls: list[ToolCall] = []
    position = _between(segment.body, 0)
    while position < len(segment.body) and len(calls) <= CALL_LIMIT:
        target = _TARGET.match(segment.body, position)
        start = target.end() if target else position
        printed = segment.body.startswith("print(", start - 6) if start >= 6 else False
        try:
            written = read_call(reader, start, offered)
        except UnreadableError:
            return []
        if not written.offered:
            return []
        calls.append(written.call)
        end = written.end
        if printed and segment.body[end : end + 1] == ")":
            end += 1
        position = _between(segment.body, end)
        if position == end and position < len(segment.body):
            return []
    return calls


def _between(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position


def _lines(segment: Segment, offered: Offered, effort: Effort, spans: list[tuple[int, int]]) -> list[ToolCall]:
    """The calls that have a line of their own. Adds their places to `spans`."""
    reader, position = LiteralReader(segment.body), 0
    calls: list[ToolCall] = []
    for line in _LINE.finditer(segment.body):
        head = CALL_HEAD.match(segment.body, line.end())
        if line.end() < position or head is None or offered.match(head.group(1)) is None:
            continue
        try:
            written = read_call(reader, line.end(), offered)
        except UnreadableError as stopped:
            if not effort.spend(stopped.position - line.start()):
                break
            continue
        after = _AFTER_LINE.match(segment.body, written.end)
        if after is not None:
            calls.append(written.call)
            position = written.end
            spans.append((segment.start + line.start(), segment.start + after.end()))
            if len(calls) > CALL_LIMIT:
                break
    return calls


READER = PythonCallReader()
