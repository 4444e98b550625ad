"""Tells which JSON values are tool calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfopt.reading.readers.base import Offered
from selfopt.records import ToolCall

from .literals import decode_object

_LISTS = ("tool_calls", "calls", "function_calls")
_WRAPPERS = ("function_call", "tool_call", "call")
_NAMES = ("name", "tool", "tool_name", "function", "function_name", "action")
_CLEAR_NAMES = frozenset({"name", "tool", "tool_name", "function", "function_name"})
_ARGUMENTS = ("arguments", "parameters", "args", "params", "kwargs", "tool_input", "action_input", "input")
_CLEAR_ARGUMENTS = frozenset({"arguments", "parameters", "args", "tool_input"})
_MARKS = frozenset({"id", "type", "index", "reason", "thought", "call_id"})
_NAME_SHAPE = re.compile(r"[\w./:\-]{1,128}")


@dataclass(slots=True)
class Shape:
    """The calls in JSON values.

    Attributes:
        calls: the calls in order.
        no_call: whether a value says that no tool should be called.
        spans: where the calls are in the text, as (start, end).
        repaired: whether a missing closing bracket was supplied.
    """

    calls: list[ToolCall] = field(default_factory=list)
    no_call: bool = False
    spans: list[tuple[int, int]] = field(default_factory=list)
    repaired: bool = False

    def add(self, other: Shape) -> None:
        """Add the calls of another value."""
        self.calls += other.calls
        self.no_call = self.no_call or other.no_call
        self.spans += other.spans
        self.repaired = self.repaired or other.repaired


def shape_of(value: Any, offered: Offered, depth: int = 0) -> Shape:
    """Find the calls in a value that has one of the shapes that models use.

    These are {"name", "arguments"}, {"function": {...}}, {"tool", "parameters"}, {"<tool>":
    {arguments}}, and lists or `tool_calls` arrays of these. A tool that is not offered counts only
    if the object can hardly be anything but a call.
    """
    shape = Shape()
    if isinstance(value, dict) and depth <= 3:
        return _of_object(value, offered, depth)
    for item in value if isinstance(value, list) and depth <= 3 else ():
        shape.add(shape_of(item, offered, depth + 1))
    return shape


def _of_object(value: dict[str, Any], offered: Offered, depth: int) -> Shape:
    for key in filter(value.__contains__, _LISTS):
        if isinstance(value[key], list):
            return shape_of(value[key], offered, depth + 1) if value[key] else Shape(no_call=True)
    for key in filter(value.__contains__, _WRAPPERS):
        if isinstance(value[key], dict):
            return shape_of(value[key], offered, depth + 1)
    if isinstance(value.get("function"), dict):
        return shape_of(value["function"], offered, depth + 1)
    name_key = next(filter(value.__contains__, _NAMES), None)
    if name_key is not None:
        return _named(value, name_key, offered)
    if len(value) == 1:
        (only, arguments), *_ = value.items()
        name = offered.match(only)
        if name is not None and isinstance(arguments, dict):
            return Shape([ToolCall(name=name, arguments=arguments)])
    return Shape()


def _named(value: dict[str, Any], name_key: str, offered: Offered) -> Shape:
    written = value[name_key]
    arguments_key = next(filter(value.__contains__, _ARGUMENTS), None)
    if written is None and name_key in _CLEAR_NAMES and len(value) <= 2:
        return Shape(no_call=True)
    if not isinstance(written, str):
        return Shape()
    if offered.is_no_call(written):
        return Shape(no_call=True)
    name = offered.match(written)
    given = value.get(arguments_key) if arguments_key is not None else None
    if isinstance(given, dict) and given.get("type") == "object" and isinstance(given.get("properties"), Mapping):
        return Shape()  # the model repeats the tool's definition
    if name is None:
        clear = name_key in _CLEAR_NAMES and arguments_key in _CLEAR_ARGUMENTS and _NAME_SHAPE.fullmatch(written)
        arguments = decode_object(given) if clear and given is not None else None
        return Shape([ToolCall(name=written, arguments=arguments)]) if arguments is not None else Shape()
    if arguments_key is None:
        flat = {key: item for key, item in value.items() if key != name_key and key not in _MARKS}
        return Shape([ToolCall(name=name, arguments=flat)])
    return Shape([ToolCall(name=name, arguments=decode_object(given) or {})])
