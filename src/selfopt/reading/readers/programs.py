"""Reads calls in program code: lines of their own, and blocks of nothing but calls."""

from __future__ import annotations

import re

from .base import CALL_LIMIT
from .keywords import Written, read_call, read_head
from .loose import LooseReader, UnreadableError
from .names import Names

# What may stand before a call in a statement: an assignment, `await`, and what shows the result.
TARGET = re.compile(
    r"(?:(?:const|let|var)[ \t]++)?+(?:[^\W\d]\w{0,63}+[ \t]*+=(?!=)[ \t]*+)?+(?:return[ \t]++)?+(?:await[ \t]++)?+"
    r"(?:(?:print|console\.log|str|json\.dumps)\([ \t]*+){0,2}+(?:await[ \t]++)?+"
)
_AFTER_LINE = re.compile(r"\){0,2}+[`;.]{0,3}+(?:</code>|</tool_code>)?+[*]{0,2}+[ \t]*+(?:#[^\n]{0,512}+)?(?=\r?\n|\Z)")
_BETWEEN = re.compile(r"(?:[ \t\r\n;]++|#[^\n]*+|//[^\n]*+)*+")
# A statement that only shows the result of a call.
_SHOWS = re.compile(
    r"(?:print|console\.log)\((?:[^\W\d][\w.\[\]]{0,63}+|[fF]?\"[^\"\n]{0,256}+\"|[fF]?'[^'\n]{0,256}+')\)|[^\W\d]\w{0,63}+(?=[ \t;]*+(?:\n|\Z))"
)
_LINE = re.compile(r"[^\n]*+\n?")


def read_statement(reader: LooseReader, position: int, names: Names) -> Written | None:
    """Read one statement that calls an offered tool.

    Returns:
        The call, with the end of the statement; None if another statement stands here.

    Raises:
        UnreadableError: the arguments can't be read.
    """
    target = TARGET.match(reader.text, position)
    start = target.end() if target is not None else position
    head = read_head(reader.text, start, names)
    if (head is None or head[1] is None) and start > position:
        start, head = position, read_head(reader.text, position, names)
    if head is None or head[1] is None:
        return None
    call = read_call(reader, start, names)
    for _ in range(reader.text.count("(", position, start)):
        call.end += reader.text.startswith(")", call.end)
    return call


def read_line(reader: LooseReader, position: int, names: Names) -> list[Written]:
    """Read the calls that a line begins with; empty if anything but calls stands on it.

    Raises:
        UnreadableError: the arguments of a call can't be read.
    """
    calls: list[Written] = []
    text = reader.text
    while len(calls) <= CALL_LIMIT and (call := read_statement(reader, position, names)) is not None:
        calls.append(call)
        after = _AFTER_LINE.match(text, call.end)
        if after is not None:
            call.end = after.end()
            return calls
        if call.supplied:
            return calls
        position = call.end
        while text[position : position + 1] in (";", ",", " "):
            position += 1
        if position == call.end:
            break
    return []


def read_block(reader: LooseReader, position: int, end: int, names: Names, *, lenient: bool = False) -> list[Written] | None:
    """Read a block of code in which every statement calls an offered tool or shows a result.

    Args:
        reader: the reader of the text.
        position: where the block begins.
        end: where it ends.
        names: the tools that were offered.
        lenient: whether other statements may stand between the calls.

    Returns:
        The calls; None if the block holds something else.

    Raises:
        UnreadableError: the arguments of a call can't be read.
    """
    calls: list[Written] = []
    text = reader.text
    position = _past(text, position)
    while position < end and len(calls) <= CALL_LIMIT:
        try:
            call = read_statement(reader, position, names)
        except UnreadableError as stopped:
            if not lenient or stopped.position >= len(text):
                raise
            call = None
        if call is not None:
            calls.append(call)
            after = call.end
        elif lenient:
            after = _LINE.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
        elif calls and (shown := _SHOWS.match(text, position)) is not None:
            after = shown.end()
        else:
            return None
        position = _past(text, after)
        if position == after and position < end and not lenient:
            return None
    return calls or None


def _past(text: str, position: int) -> int:
    """The position after white space and comments between statements."""
    return _BETWEEN.match(text, position).end()  # type: ignore[union-attr]  # it matches nothing, too
