"""Tool calls that the server reported in its own fields."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.reading.wire_names import own_names
from selfopt.records import Correction, ReplyContent, ToolCall, ToolDefinition

from .base import NOTHING, Found
from .loose import LooseReader, UnreadableError, decode_object
from .names import Names
from .numbers import lost_numbers

FORM = "native tool calls"


@dataclass(frozen=True, slots=True)
class _Read:
    call: ToolCall
    corrections: tuple[Correction, ...] = ()
    supplied: bool = False


class NativeReader:
    """Takes the calls from the server's tools API, and mends what is broken in them.

    Arguments may be a text in damaged notation, and a name may have around it what models and
    servers leave there. A call of a tool that was not offered stays as it is.
    """

    version = 2

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        if not content.tool_calls and not content.broken_tool_calls:
            return NOTHING
        read = [_named(call, tools) for call in content.tool_calls]
        lost = 0
        for number, broken in enumerate(content.broken_tool_calls):
            at, mended = _mended(broken, tools)
            if mended is None:
                lost += 1
            else:
                read.insert((number if at is None else at) - lost, mended)
        if not read:
            return Found(unread=f"{lost} {FORM} whose arguments are no JSON object")
        corrections = tuple(made for one in read for made in one.corrections)
        calls = tuple(one.call for one in read) if corrections or lost or content.broken_tool_calls else _calls(content, read)
        return Found(calls, FORM, supplied=read[-1].supplied, corrections=corrections)

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """See `GrowingReader.certain`."""
        return self.read(content, tools).calls


def _calls(content: ReplyContent, read: Sequence[_Read]) -> tuple[ToolCall, ...]:
    """The calls; as the server gave them, if nothing was to be mended."""
    calls = tuple(one.call for one in read)
    return content.tool_calls if all(a is b for a, b in zip(calls, content.tool_calls, strict=True)) else calls


def _named(call: ToolCall, tools: Sequence[ToolDefinition]) -> _Read:
    names = Names.of(tools)
    if call.name in names.schemas:
        return _Read(call)
    found = names.match(call.name)
    if found is None:
        return _Read(call)
    wired = own_names(names.names).get(call.name) == found
    made = () if wired else (Correction(kind="name", tool=found),)
    return _Read(call.model_copy(update={"name": found}), made)


def _mended(broken: str, tools: Sequence[ToolDefinition]) -> tuple[int | None, _Read | None]:
    """Mend a call. Returns its place among all calls, if it is known, and the call, if it can be read."""
    try:
        given = json.loads(broken)
    except (ValueError, RecursionError):
        return None, None
    name, arguments, at = (
        (given.get(key) for key in ("name", "arguments", "at")) if isinstance(given, dict) else (None, None, None)
    )
    place = at if isinstance(at, int) else None
    decoded = {} if arguments in ([], "[]") else decode_object(arguments)
    if not isinstance(name, str) or not name.strip() or decoded is None:
        return place, None
    identity = given.get("id")
    read = _named(ToolCall(name=name, arguments=decoded, id=identity if isinstance(identity, str) else None), tools)
    if lost_numbers(read.call, tools):
        return place, None  # a text for a number is no repair
    made = (*read.corrections, Correction(kind="syntax", tool=read.call.name))
    return place, _Read(read.call, made, _supplied(arguments))


def _supplied(arguments: Any) -> bool:
    """Whether closing brackets are missing at the end of a text."""
    if not isinstance(arguments, str):
        return False
    reader = LooseReader(arguments.strip())
    try:
        reader.value(0)
    except UnreadableError:
        return False
    return reader.supplied


READER = NativeReader()
