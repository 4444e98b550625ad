"""Finds the calls in a text that nobody asked to be in a certain form, and what was said before them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .chain import LATEST, ask, chain_of
from .door import opening_marks
from .readers.base import CALL_LIMIT
from .readers.names import Names
from .thinking import split_thinking

# Every format has one of these, whatever its marks are.
_SIGN = re.compile(r"[{(\[<:：/]")
_OPEN_FENCE = re.compile(r"(?:```+|~~~+)[^\s`]{0,32}+\s*+\Z")
# The words of a sentence, though a family has such a mark.
_TOLD = re.compile(r"(?:function[ _])?call:\s*+(?=[{\[])")
_ITEM = re.compile(r"^[ \t]{0,16}+(?:[-*•+]|\d{1,3}[.)])[ \t]{1,4}+[`*_]{0,4}+([^\W\d][\w.\-/]{0,127}+)", re.M)
_LISTED = 32  # calls that a list of tools may seem to hold
_WRAPPED = 4  # how many layers of marks are removed before a call


@dataclass(frozen=True, slots=True)
class CallsWithin:
    """What a text holds.

    Attributes:
        calls: the calls of offered tools, in order.
        before: the beginning of the text, up to the marks of the first call. Thinking stays in it.
    """

    calls: tuple[ToolCall, ...] = ()
    before: str = ""


NO_CALLS = CallsWithin()


def may_hold_calls(text: str, tools: Sequence[ToolDefinition]) -> bool:
    """Whether a text can hold a call at all: it has a sign of one, and names a tool."""
    return _SIGN.search(text) is not None and Names.of(tools).may_stand_in(text)


def calls_within(text: str, tools: Sequence[ToolDefinition], family: str = "", *, cut: bool = False) -> CallsWithin:
    """Find the calls in a text by all readers. An example, a quotation or a call in thinking is none.

    Args:
        text: the text as the model wrote it, with its thinking.
        tools: the tools that were offered.
        family: the family that the model's chat template shows; any other word if it is not known.
        cut: whether the token limit cut the text off.
    """
    if not may_hold_calls(text, tools):
        return NO_CALLS
    answer, thinking = split_thinking(text)
    content = ReplyContent.model_construct(
        text=answer, thinking=thinking, tool_calls=(), broken_tool_calls=(), finish_reason="unknown"
    )
    _, found = ask(chain_of((LATEST,), family).readers, content, tools)
    if found.supplied and cut:
        found = found.without_last()
    if any(made.kind == "not_fitted" for made in found.corrections):
        return NO_CALLS  # a number that JSON can't write would become a text
    offered = Names.of(tools).schemas
    calls = tuple(call for call in found.calls[:CALL_LIMIT] if call.name in offered)
    if not calls or not found.spans or _is_listing(answer, found.spans, tools):
        return NO_CALLS
    begin, end = found.spans[0]
    told = _TOLD.match(answer, begin)
    begin = told.end() if told is not None else begin
    return CallsWithin(calls, _before(text[: _place(text, answer, begin, end)]))


def _is_listing(text: str, spans: Sequence[tuple[int, int]], tools: Sequence[ToolDefinition]) -> bool:
    """Say whether what reads as calls are items of a list that tells which tools there are.

    Another item names a tool and is no call. A tool without arguments is written like its call.
    """
    names = Names.of(tools)
    if len(spans) > _LISTED:
        return False
    found = islice(_ITEM.finditer(text), _LISTED * 8)
    items = [(item.start(), item.end()) for item in found if names.match(item[1]) is not None]
    called = [(begin, end) for begin, end in items if any(begin < close and opened <= end for opened, close in spans)]
    return len(items) > len(called) > 0 and all(
        any(begin < close and opened <= end for begin, end in called) for opened, close in spans
    )


def _place(text: str, answer: str, begin: int, end: int) -> int:
    """Where a part of the answer begins in the text, which has thinking besides."""
    if text.startswith(answer[:end]):
        return begin
    rest = answer[begin:].rstrip()
    whole = text.rstrip()
    if whole.endswith(rest):
        return len(whole) - len(rest)
    at = text.rfind(answer[begin:end])
    return at if at >= 0 else len(text)


def _before(text: str) -> str:
    """A text without the marks at its end that open a call; nothing if it is blank."""
    marks = opening_marks()
    for _ in range(_WRAPPED):
        bare = text.rstrip()
        ends = bare.endswith(marks)
        mark = next((mark for mark in marks if not mark[0].isalpha() and bare.endswith(mark)), "") if ends else ""
        fence = _OPEN_FENCE.search(text) if not mark else None
        if fence is not None and text.count(fence.group()[:3]) % 2:
            text = text[: fence.start()]
        elif mark:
            text = bare[: -len(mark)]
        else:
            break
    return text if text.strip() else ""
