"""Removes from calls what the conversation does not back.

What is stated (numbers, dates, times, names, texts) must be said. What is derived (choices, codes,
units, switches) is believed, since nobody says `AR` who means Argentina.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .backing import Backing, Talk
from .said import words_of
from .schema import Schema, arguments_of, properties_of, required_of, resolved


def grounded(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """Remove what nothing in the conversation backs.

    A call is dropped if a required argument is missing or not backed: nobody gave the tool what it
    needs. An optional argument is dropped alone, and so are single texts in a list that nothing
    backs or that another argument has. Calls of tools that are not offered stay. Each call is looked at by itself.

    Returns:
        The calls that are left, and what was dropped.
    """
    talk = Talk.of(messages, tools)
    by_name = {tool.name: tool.parameters for tool in reversed(tools)}
    kept: list[ToolCall] = []
    corrections: list[Correction] = []
    for call in calls:
        root = by_name.get(call.name)
        if root is None:
            kept.append(call)
            continue
        schema = arguments_of(root)
        backing = Backing(talk, root)
        unbacked = _unbacked(call, schema, root, backing)
        if unbacked is not None:
            corrections.append(Correction(kind="call_not_backed", tool=call.name, argument=unbacked))
            continue
        arguments = _backed(call, schema, backing)
        changed = [key for key, value in call.arguments.items() if key not in arguments or arguments[key] != value]
        corrections += [Correction(kind="not_backed", tool=call.name, argument=key) for key in changed]
        kept.append(call.model_copy(update={"arguments": arguments}) if changed else call)
    return kept, corrections


def _unbacked(call: ToolCall, schema: Schema, root: Schema, backing: Backing) -> str | None:
    """The first required argument that nothing backs."""
    parts = properties_of(schema)
    for key in required_of(schema):
        value, part = call.arguments.get(key), parts.get(key)
        if key not in call.arguments:
            if "default" not in resolved(part, root):
                return key
        elif not backing.backs(backing.only_backed(value, part) or value, part):
            return key
    return None


def _backed(call: ToolCall, schema: Schema, backing: Backing) -> dict[str, Any]:
    """The arguments of a call without those that nothing backs."""
    parts, needed = properties_of(schema), required_of(schema)
    taken = frozenset(word for key in needed for word in words_of(call.arguments.get(key, "")))
    kept = {}
    for key, value in call.arguments.items():
        left = backing.only_backed(value, parts.get(key))
        if key in needed or key not in parts or backing.asks_for(key, left or value, parts[key], taken):
            kept[key] = left
    return {key: _without_others(value, kept) for key, value in kept.items()}


def _without_others(value: Any, arguments: Mapping[str, Any]) -> Any:
    """A list of texts without those that are another argument: small models repeat a title as a guest."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, str) for item in value):
        return value
    others = {other for other in arguments.values() if isinstance(other, str)}
    return [item for item in value if item not in others] or value
