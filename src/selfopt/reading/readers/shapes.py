"""Tells which values are tool calls, in all the wrappings that models and APIs use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from selfopt.reading.schema import allows_string, required_of
from selfopt.records import ToolCall

from .base import CALL_LIMIT
from .definitions import is_definition, is_schema
from .loose import LooseReader, UnreadableError, decode_object
from .names import Names

_LEVELS = 8  # wrappings around a call
_LISTS = ("tool_calls", "toolCalls", "tool_uses", "toolUses", "function_calls", "functionCalls", "calls", "actions", "steps")
_WRAPPERS = (
    *(
        "function_call",
        "functionCall",
        "tool_call",
        "toolCall",
        "tool_use",
        "toolUse",
        "call",
        "function",
        "tool",
        "action",
        "command",
    ),
    *("message", "delta", "choices", "output", "content", "response", "parts", "candidates"),
)
_SPEAKERS = frozenset({"tool", "user", "system", "developer", "function"})
_NAMES = (
    *("name", "tool_name", "toolName", "tool", "function", "function_name", "functionName", "func", "recipient_name"),
    *("action", "recipient", "type", "method", "api", "call", "function_call", "tool_call"),
)
_ARGUMENTS = (
    *("arguments", "parameters", "args", "params", "kwargs", "tool_input", "toolInput", "action_input", "actionInput"),
    *("input", "inputs", "tool_args", "tool_arguments", "toolArgs", "function_args", "function_arguments", "argument"),
)
# These keys alone tell that an object is a call, though no such tool is offered.
_CLEAR_NAMES = frozenset({"name", "tool_name", "toolName", "tool", "function", "function_name", "recipient_name"})
_CLEAR_ARGUMENTS = frozenset({"arguments", "parameters", "args", "tool_input"})
_MARKS = frozenset({"id", "type", "index", "call_id", "tool_call_id", "thought", "thoughts", "reason", "reasoning", "status"})
# What stands in the place of a name when the call is one level below.
_GENERIC = frozenset(
    {
        "parallel",
        "multi_tool_use.parallel",
        "tool_call",
        "tool_calls",
        "function_call",
        "call_tool",
        "use_tool",
        "functions",
        "tools/call",
    }
)
# Objects of nothing but these keys, with null, say that no tool is called.
_EMPTY = frozenset(
    {*_LISTS, *_ARGUMENTS, "name", "tool", "tool_name", "toolName", "function", "function_call", "tool_call", "action"}
)
_NAME_SHAPE = re.compile(r"[\w./:\-]{1,128}")
# Some models write what a tool does in the place of its name.
_PHRASE = re.compile(r"[\w./:\-]{1,64}(?: [\w./:\-]{1,64}){1,12}")
_ASSIGNED = re.compile(r"\s*([\w\-]{1,64})\s*[=:]\s*(.{1,4096})\Z", re.S)


@dataclass(slots=True)
class Shape:
    """The calls in a value.

    Attributes:
        calls: calls of tools that are offered, in order.
        everything: these, and calls of other tools and such without arguments, in objects that can hardly
            be anything but a call.
        no_call: whether the value says that no tool should be called.
        unread: whether it names an offered tool with arguments that can't be read.
        clear: whether the arguments of the other tools all stand under "arguments".
        defines: whether it defines a tool that is offered. Of a list then nothing is a call.
    """

    calls: list[ToolCall] = field(default_factory=list)
    everything: list[ToolCall] = field(default_factory=list)
    no_call: bool = False
    unread: bool = False
    clear: bool = True
    defines: bool = False

    @classmethod
    def of(cls, *calls: ToolCall) -> Shape:
        """Calls of tools that are offered."""
        return cls(list(calls), list(calls))

    def add(self, other: Shape) -> None:
        """Add the calls of another value."""
        self.calls += other.calls
        self.everything += other.everything
        self.no_call = self.no_call or other.no_call
        self.unread = self.unread or other.unread
        self.clear = self.clear and other.clear
        self.defines = self.defines or other.defines


def shape_of(value: Any, names: Names, levels: int = _LEVELS) -> Shape:
    """Find the calls in a value.

    Args:
        value: a value as `LooseReader` reads it.
        names: the tools that were offered.
        levels: how many wrappings are opened.
    """
    shape = Shape()
    if levels <= 0:
        return shape
    if isinstance(value, dict):
        return _of_object(value, names, levels)
    for item in value[: CALL_LIMIT + 1] if isinstance(value, list) else ():
        shape.add(shape_of(_decoded(item), names, levels - 1))
    return Shape(defines=True) if shape.defines else shape


def _decoded(value: Any) -> Any:
    """An object or a list that was encoded as text; else the value itself."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    reader = LooseReader(value)
    try:
        return reader.value(reader.skip(0))[0]
    except UnreadableError:
        return value


def _of_object(value: dict[str, Any], names: Names, levels: int) -> Shape:
    role = value.get("role")
    if isinstance(role, str) and role in _SPEAKERS and not isinstance(value.get("function"), dict):
        return Shape()  # the result of a tool, or another's turn
    name_key = _name_key(value, names)
    if name_key is not None and names.match(value[name_key]) is not None:
        return _named(value, name_key, names)
    for key in filter(value.__contains__, _LISTS):
        inner = _decoded(value.get(key))
        if isinstance(inner, (list, dict)):
            return shape_of(inner, names, levels - 1) if inner else Shape(no_call=True)
    for key in filter(value.__contains__, _WRAPPERS):
        inner = _decoded(value.get(key))
        if isinstance(inner, (list, dict)):
            shape = shape_of(_completed(inner, value), names, levels - 1)
            if shape.everything or shape.no_call or shape.unread:
                return shape
    if name_key is not None:
        return _stranger(value, name_key, names, levels)
    if value and value.keys() <= _EMPTY and all(one is None for one in value.values()):
        return Shape(no_call=True)
    return _by_tool(value, names)


def _completed(inner: Any, outer: Mapping[str, Any]) -> Any:
    """A wrapped call with the arguments that stand beside it: {"function": {"name"}, "arguments": {}}."""
    if not isinstance(inner, dict) or any(key in inner for key in _ARGUMENTS):
        return inner
    return inner | {key: outer[key] for key in _ARGUMENTS if key in outer}


def _name_key(value: Mapping[str, Any], names: Names) -> str | None:
    """The key whose value names the tool: of an offered tool, or else the first that may."""
    written = [key for key in _NAMES if isinstance(value.get(key), str)]
    offered = (key for key in written if key != "type" and names.match(value[key]) is not None)
    by_type = next((key for key in written if key == "type" and value[key] in names.schemas), None)
    return next(offered, None) or by_type or next((key for key in written if key != "type"), None)


def _named(value: Mapping[str, Any], name_key: str, names: Names) -> Shape:
    """The call of an offered tool that an object names."""
    name = names.match(value[name_key])
    assert name is not None
    properties = names.properties(name)
    key = next((key for key in _ARGUMENTS if key in value and key != name_key), None)
    if is_definition(value, value.get(key) if key else None, properties):
        return Shape(defines=True)
    if key is not None:
        arguments = arguments_of(value[key], name, names, key)
        if arguments is not None:
            return Shape.of(ToolCall(name=name, arguments=arguments))
        if key not in properties:
            return Shape(unread=True)
    if name_key == "type":
        return Shape()  # data, too, have a type
    flat = {key: item for key, item in value.items() if key != name_key and (key not in _MARKS or key in properties)}
    if not flat and names.schema(name).get("required"):
        return Shape(everything=[ToolCall(name=name)])  # a list of names, unless nothing else can be meant
    if all(key in properties for key in flat):
        return Shape.of(ToolCall(name=name, arguments=flat))
    return Shape()


def arguments_of(given: Any, name: str, names: Names, key: str = "arguments") -> dict[str, Any] | None:
    """Take the arguments of an offered tool from what stands in their place.

    That is an object or a text that holds one; a list of one object, of pairs of name and value, or
    of values in the order of the tool's properties; or the text of its only argument.

    Args:
        given: what stands there.
        name: the tool.
        names: the tools that were offered.
        key: the key under which it stands.

    Returns:
        The arguments; None if it can't be told which they are.
    """
    arguments = decode_object(given)
    if arguments is not None:
        return arguments
    properties = names.properties(name)
    if key in properties and "arguments" not in properties:
        return None  # an argument of the tool stands beside its name
    given = _decoded(given)
    if isinstance(given, list):
        return _of_list(given, name, names)
    if not isinstance(given, str):
        only = the_only(name, names)
        return {only: given} if only is not None else None
    assigned = _ASSIGNED.match(given)
    if assigned and assigned.group(1) in properties:
        return {assigned.group(1): assigned.group(2).strip().strip("\"'")}
    only = the_only(name, names)
    if only is None or not allows_string(properties[only], names.schema(name)):
        return None
    return {only: given}


def the_only(name: str, names: Names) -> str | None:
    """The property that a single value without a name means; None if that can't be told."""
    properties, required = names.properties(name), names.schema(name).get("required")
    if isinstance(required, list) and len(required) == 1 and required[0] in properties:
        return str(required[0])
    return next(iter(properties)) if len(properties) == 1 else None


def _of_list(given: list[Any], name: str, names: Names) -> dict[str, Any] | None:
    properties, only = names.properties(name), the_only(name, names)
    if given and all(isinstance(one, dict) for one in given):
        pairs = [(one.get("name", one.get("key")), one["value"]) for one in given if len(one) == 2 and "value" in one]
        if len(pairs) == len(given) and all(isinstance(key, str) for key, _ in pairs):
            return {str(key): value for key, value in pairs}
        if len(given) == 1:
            return dict(given[0])
    if len(given) == len(properties):
        return dict(zip(properties, given, strict=True))
    if len(given) == 1 and only is not None:
        return {only: given[0]}
    return None if given else {}


def _stranger(value: Mapping[str, Any], name_key: str, names: Names, levels: int) -> Shape:
    """The call of a tool that is not offered, if the object can hardly be anything else."""
    written = value[name_key]
    key = next((key for key in _ARGUMENTS if key in value and key != name_key), None)
    given = value.get(key) if key else None
    if names.is_no_call(written):
        return Shape(no_call=True)
    if written.strip().removeprefix("functions.").lower() in _GENERIC and isinstance(given, (dict, str, list)):
        return shape_of(_decoded(given), names, levels - 1)
    others = set(value) - {name_key, key} - _MARKS
    if name_key not in _CLEAR_NAMES or key not in _CLEAR_ARGUMENTS or others:
        return Shape()
    if not _NAME_SHAPE.fullmatch(written) and not (key == "arguments" and _PHRASE.fullmatch(written)):
        return Shape()
    arguments = decode_object(given) if given is not None else None
    if arguments is None or is_schema(arguments, {}):
        return Shape()
    return Shape(everything=[ToolCall(name=written, arguments=arguments)], clear=key == "arguments")


def _by_tool(value: Mapping[str, Any], names: Names) -> Shape:
    """The calls of an object whose every key names an offered tool: {"<tool>": {arguments}}."""
    calls: list[ToolCall] = []
    for key, given in value.items():
        name = names.match(key)
        if name is None or is_schema(given, names.properties(name)) or len(calls) > CALL_LIMIT:
            return Shape()
        listed = given if isinstance(given, list) and all(isinstance(one, dict) for one in given) else [given]
        for one in listed:
            arguments = decode_object(one)
            known = names.properties(name)
            # A name that is only like the tool's may be the name of anything.
            if arguments is None or (key not in names.schemas and not (arguments and all(part in known for part in arguments))):
                return Shape()
            if is_definition({}, arguments, known) or not _fits(name, arguments, names):
                return Shape()
            if one is None and required_of(names.schema(name)):
                return Shape()  # data with the tool's name as a key
            calls.append(ToolCall(name=name, arguments=arguments))
    return Shape.of(*calls)


def _fits(name: str, arguments: Mapping[str, Any], names: Names) -> bool:
    """Whether a tool takes such arguments: all that it requires, if it does not know them all."""
    known = names.properties(name)
    if all(key in known for key in arguments):
        return True
    required = names.schema(name).get("required")
    # A name of one word may be the key of anything.
    return isinstance(required, list) and bool(required) and not name.isalpha() and all(key in arguments for key in required)
