"""Fits calls to the tools they are meant for: names, types and optional arguments."""

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
    """Fit each call to its tool in three ways. Keeps the number and the order of the calls.

    1. An unknown name becomes the name of the one tool that takes these arguments: it requires no
       others and knows all of them. If several tools do, the name stays.
    2. A value takes the type of its schema if nothing is lost: "5" and 5, 5.0 and 5, "true" and
       true, a value and a list of it, a choice in another case.
    3. Optional arguments that nobody asked for are left out (see `said.asked_for`).
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
    """The only tool that takes the arguments of a call.

    None if no tool or several do, or if the call has no arguments.
    """
    given = set(call.arguments)
    takers = [tool for tool in tools if given and _takes(tool.parameters, given)]
    return takers[0] if len(takers) == 1 else None


def _takes(schema: Mapping[str, Any], given: set[str]) -> bool:
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, Mapping) or not given <= set(properties):
        return False
    return isinstance(required, list) and {key for key in required if isinstance(key, str)} <= given


def _typed(value: Any, schema: Any, depth: int) -> Any:
    """Convert a value to the type of its schema, unless that would lose or guess anything."""
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
    """The only choice that equals the value in another case; the value itself if there is none."""
    if value in choices or not isinstance(value, str):
        return value
    alike = [choice for choice in choices if isinstance(choice, str) and choice.casefold() == value.strip().casefold()]
    return alike[0] if len(alike) == 1 else value
