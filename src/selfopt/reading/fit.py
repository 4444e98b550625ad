"""Calls fitted to the tools they are for: the same calls, in words and types that the tools take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Message, ToolCall, ToolDefinition

from .said import asked_for

_DEPTH = 8
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")


def fit_calls(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[ToolCall]:
    """As many calls as were given, in their order, each fitted in three ways.

    A name that no tool has becomes that of the one tool which takes exactly such arguments (all that it requires, and none
    that it does not know), where there is only one. A value becomes what its schema asks for, where nothing is lost by it:
    "5" and 5, 5.0 and 5, "true" and true, one value and the list of it, another casing of a choice. Optional arguments that
    nobody asked for are left out (see `said.asked_for`).
    """
    by_name = {tool.name: tool for tool in reversed(tools)}
    fitted = []
    for call in calls:
        tool = by_name.get(call.name) or _only_taker(call, tools)
        if tool is None:
            fitted.append(call)
            continue
        properties = tool.parameters.get("properties")
        parts: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        arguments = {key: _typed(value, parts.get(key), _DEPTH) for key, value in call.arguments.items()}
        arguments = asked_for(arguments, tool.parameters, messages)
        fitted.append(call.model_copy(update={"name": tool.name, "arguments": arguments}))
    return fitted


def _only_taker(call: ToolCall, tools: Sequence[ToolDefinition]) -> ToolDefinition | None:
    """The one tool that takes exactly the arguments of a call; None where none or several do, or where there are none to tell by."""
    given = set(call.arguments)
    takers = [tool for tool in tools if given and _takes(tool.parameters, given)]
    return takers[0] if len(takers) == 1 else None


def _takes(schema: Mapping[str, Any], given: set[str]) -> bool:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not given <= set(properties):
        return False
    return isinstance(required, list) and {key for key in required if isinstance(key, str)} <= given


def _typed(value: Any, schema: Any, depth: int) -> Any:
    """The value in the type of its schema; as it is where that would lose or guess anything."""
    if not isinstance(schema, Mapping) or depth == 0:
        return value
    choices = schema.get("enum")
    if isinstance(choices, list):
        return _choice(value, choices)
    match schema.get("type"):
        case "array":
            items = value if isinstance(value, list) else [value]
            fitted = [_typed(item, schema.get("items"), depth - 1) for item in items]
            return value if value is None or isinstance(value, dict) else fitted
        case "object":
            parts = schema.get("properties")
            if not isinstance(value, dict) or not isinstance(parts, Mapping):
                return value
            return {key: _typed(item, parts.get(key), depth - 1) for key, item in value.items()}
        case kind:
            return _scalar(value, kind)


def _scalar(value: Any, kind: object) -> Any:
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind == "boolean" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if kind in ("integer", "number") and isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if kind == "number" and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _choice(value: Any, choices: Sequence[Any]) -> Any:
    """The one choice that is written like the value but for its casing."""
    if value in choices or not isinstance(value, str):
        return value
    alike = [choice for choice in choices if isinstance(choice, str) and choice.casefold() == value.strip().casefold()]
    return alike[0] if len(alike) == 1 else value
