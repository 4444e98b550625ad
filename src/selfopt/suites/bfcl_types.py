"""The argument types and accepted values of the Berkeley Function Calling Leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from selfopt.records import ExpectedCall, ToolDefinition

_KNOWN = ("string", "integer", "number", "boolean", "array", "object")


def bfcl_problems(call: ExpectedCall, tool: ToolDefinition) -> Iterator[str]:
    """Why the rules of the leaderboard can't judge this call: one line each, with the fix.

    An expectation that no reply can meet is no problem here. The data of the leaderboard has some,
    and its scores count them.
    """
    if call.any_arguments:
        yield "any_arguments is unknown to the leaderboard's rules; list the accepted values"
    properties = tool.parameters.get("properties", {})
    for name in call.arguments:
        problem = _type_problem(properties[name]) if isinstance(properties, dict) and name in properties else None
        if problem is not None:
            yield f"argument {name[:60]!r} {problem}"


def bfcl_value(accepted: Any) -> Any:
    """Write an accepted value as a reply would.

    Accepted objects list values for each key; this takes the first.
    """
    if isinstance(accepted, list):
        return [bfcl_value(item) if isinstance(item, dict) else item for item in accepted]
    if not isinstance(accepted, dict) or not all(isinstance(values, list) for values in accepted.values()):
        return accepted
    first = {key: next((value for value in values if value != ""), "") for key, values in accepted.items()}
    return {key: bfcl_value(value) for key, value in first.items() if value != "" or "" not in accepted[key]}


def _type_problem(schema: Any) -> str | None:
    if not isinstance(schema, dict):
        return None  # reported for the tool itself
    kind = schema.get("type", "string")
    if kind not in _KNOWN:
        return f"is of type {str(kind)[:60]!r}, which cannot be judged; known are {', '.join(_KNOWN)}, or none for any"
    if kind != "array":
        return None
    items = schema.get("items")
    inner = items.get("type", "string") if isinstance(items, dict) else None
    if inner not in _KNOWN:
        return f"is a list of type {str(inner)[:60]!r}, which cannot be judged; give items one of {', '.join(_KNOWN)}"
    return None
