"""Reads `name(arg=value, ...)`, which bracket and Python calls have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from selfopt.reading.readers.base import Offered
from selfopt.records import ToolCall

from .literals import LiteralReader, UnreadableError

CALL_HEAD = re.compile(r"([^\W\d][\w.\-]{0,255}+)[ \t]*+\(")
_KEYWORD = re.compile(r"[\"']?([^\W\d][\w\-]{0,127}+)[\"']?[ \t\r\n]*+[=:](?!=)[ \t\r\n]*+")
_BARE = re.compile(r"[^,()\[\]{}\"'=\r\n]{1,200}+")


@dataclass(slots=True)
class WrittenCall:
    """A call as it is written in a text.

    Attributes:
        call: the call.
        end: the position after it.
        offered: whether its tool is offered.
        keywords: whether every argument has a name.
    """

    call: ToolCall
    end: int
    offered: bool
    keywords: bool


def read_call(reader: LiteralReader, position: int, offered: Offered) -> WrittenCall:
    """Read the call that starts at this position. Raises UnreadableError if none does."""
    head = CALL_HEAD.match(reader.text, position)
    if head is None:
        raise UnreadableError(position)
    written = head.group(1)
    name = offered.match(written)
    order = list(offered.properties(name)) if name is not None else []
    arguments: dict[str, Any] = {}
    keywords, index = True, 0
    position = reader.skip(head.end())
    while reader.text[position : position + 1] != ")":
        keyword = _KEYWORD.match(reader.text, position)
        if keyword is not None:
            key, position = keyword.group(1), keyword.end()
        elif index < len(order):
            key, keywords = order[index], False
        else:
            raise UnreadableError(position)
        index += 1
        arguments[key], position = _argument(reader, position)
        position = reader.skip(position)
        if reader.text[position : position + 1] == ",":
            position = reader.skip(position + 1)
        elif position >= len(reader.text):
            reader.repaired = True
            return WrittenCall(_call(name or written, arguments), position, offered=name is not None, keywords=keywords)
        elif reader.text[position] != ")":
            raise UnreadableError(position)
    return WrittenCall(_call(name or written, arguments), position + 1, offered=name is not None, keywords=keywords)


def _call(name: str, arguments: dict[str, Any]) -> ToolCall:
    if list(arguments) == ["arguments"] and isinstance(arguments["arguments"], dict):
        arguments = arguments["arguments"]
    return ToolCall(name=name, arguments=arguments)


def _argument(reader: LiteralReader, position: int) -> tuple[Any, int]:
    """Read a literal, or bare words up to the next separator: small models forget quotes."""
    try:
        value, end = reader.value(position)
    except UnreadableError as stopped:
        bare = _BARE.match(reader.text, position)
        if bare is None or not bare.group().strip():
            raise UnreadableError(max(position, stopped.position)) from None
        return bare.group().strip(), bare.end()
    after = reader.skip(end)
    if after < len(reader.text) and reader.text[after] not in ",)":
        bare = _BARE.match(reader.text, position)
        if bare is not None and bare.end() > end:
            return bare.group().strip(), bare.end()
    return value, end
