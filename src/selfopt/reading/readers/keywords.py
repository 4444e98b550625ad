"""Reads calls as programs write them: name(argument=value, ...), alone and in lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from selfopt.records import ToolCall

from .base import CALL_LIMIT
from .loose import LooseReader, UnreadableError
from .names import Names

HEAD = re.compile(r"([^\W\d][\w.\-/:]{0,255}+)[ \t]*+\(")
_KEYWORD = re.compile(r"[\"'“]?([^\W\d][\w\-]{0,127}+)[\"'”]?[ \t\r\n]*+([=:])(?!=)[ \t\r\n]*+")
_TYPES = frozenset(
    {"str", "string", "int", "integer", "float", "number", "bool", "boolean", "list", "array", "dict", "object", "any", "Any"}
)

_TYPED = [[kind] for kind in (*sorted(_TYPES), "char", "const", "void", "long", "String", "unsigned")]


@dataclass(slots=True)
class Written:
    """A call as it is written in a text.

    Attributes:
        call: the call.
        end: the position after it.
        offered: whether its tool is offered.
        keywords: whether every argument has a name.
        supplied: whether closing brackets were missing at the end of the text.
    """

    call: ToolCall
    end: int
    offered: bool
    keywords: bool = True
    supplied: bool = False


def read_head(text: str, position: int, names: Names) -> tuple[str, str | None, int] | None:
    """Read the name of a tool and the bracket after it.

    Returns:
        The name as it is written, the offered tool that it means, and the position after the
        bracket; None if no call starts here.
    """
    head = HEAD.match(text, position)
    if head is not None:
        return head.group(1), names.match(head.group(1)), head.end()
    for name in names.odd:
        if text.startswith(f"{name}(", position):
            return name, name, position + len(name) + 1
    return None


def read_call(reader: LooseReader, position: int, names: Names) -> Written:
    """Read the call that starts at this position. Raises UnreadableError if none does."""
    head = read_head(reader.text, position, names)
    if head is None:
        raise UnreadableError(position)
    written, name, position = head
    given = _Given(reader, names.properties(name) if name is not None else {})
    position = reader.skip(position)
    while reader.text[position : position + 1] != ")":
        position = reader.skip(given.take(position))
        char = reader.text[position : position + 1]
        if char in (",", "，"):
            position = reader.skip(position + 1)
        elif char in ("", "<"):
            call = ToolCall(name=name or written, arguments=given.arguments)
            return Written(call, position, name is not None, given.keywords, supplied=True)
        elif char != ")":
            raise UnreadableError(position)
        if position >= len(reader.text):
            raise UnreadableError(position)
    call = ToolCall(name=name or written, arguments=given.arguments)
    return Written(call, position + 1, name is not None, given.keywords, reader.supplied)


class _Given:
    """The arguments of a call, as they are read."""

    def __init__(self, reader: LooseReader, properties: Mapping[str, Any]) -> None:
        self._reader, self._properties = reader, properties
        self._order = list(properties)
        self.arguments: dict[str, Any] = {}
        self.keywords = True

    def take(self, position: int) -> int:
        """Read one argument. Returns the position after it."""
        text = self._reader.text
        if text.startswith("**", position):
            value, position = self._value(self._reader.skip(position + 2))
            if not isinstance(value, dict):
                raise UnreadableError(position)
            self.arguments |= value
            return position
        keyword = _KEYWORD.match(text, position)
        if keyword is None:
            return self._by_place(position)
        key = keyword.group(1)
        value, end = self._value(keyword.end())
        if keyword.group(2) == ":" and isinstance(value, str) and value in _TYPES and text[keyword.end()] not in "\"'":
            raise UnreadableError(end)  # the signature of a function
        if key == "arguments" and key not in self._properties and isinstance(value, dict):
            self.arguments |= value
        else:
            self.arguments[key] = value
        return end

    def _by_place(self, position: int) -> int:
        value, end = self._value(position)
        if not self.arguments and isinstance(value, dict) and all(key in self._properties for key in value):
            self.arguments |= value
            return end
        index = len(self.arguments)
        bare = isinstance(value, str) and self._reader.text[position] not in "\"'`“‘rRbBuUfF"
        # A parameter without a value is the signature of a function.
        if index >= len(self._order) or (bare and (value in self._properties or value.split()[:1] in _TYPED)):
            raise UnreadableError(end)
        self.arguments[self._order[index]], self.keywords = value, False
        return end

    def _value(self, position: int) -> tuple[Any, int]:
        value, end = self._reader.value(position, call=True)
        after = self._reader.skip(end)
        # Strings that follow each other are one in Python.
        while isinstance(value, str) and after > end and self._reader.text[after : after + 1] in ('"', "'"):
            more, end = self._reader.value(after, call=True)
            value, after = value + str(more), self._reader.skip(end)
        return value, end


def read_list(reader: LooseReader, position: int, names: Names) -> tuple[list[Written], int]:
    """Read calls within square brackets.

    Args:
        reader: the reader of the text.
        position: the position after the opening bracket.
        names: the tools that were offered.

    Returns:
        The calls, and the position after the closing bracket.

    Raises:
        UnreadableError: something else stands between the brackets.
    """
    calls: list[Written] = []
    position = reader.skip(position)
    while len(calls) <= CALL_LIMIT:
        calls.append(read_call(reader, position, names))
        position = reader.skip(calls[-1].end)
        char = reader.text[position : position + 1]
        if char in (",", "，", ";"):
            position = reader.skip(position + 1)
            char = reader.text[position : position + 1]
        if char == "]":
            return calls, position + 1
        if char in ("", "<", "`"):
            calls[-1].supplied = True
            return calls, position
    raise UnreadableError(position)
