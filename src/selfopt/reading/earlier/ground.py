"""Tells arguments that the conversation backs from those that the model made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from selfopt.records import Message, ToolCall, ToolDefinition

from .said import Said, is_texts, needed_of, words_of


def ground_calls(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[ToolCall]:
    """Remove what nothing in the conversation backs.

    Removes optional arguments that nobody asked for, and whole calls with a required argument that
    nothing backs: nobody gave the tool what it needs. A required choice (enum) is always believed,
    because a model derives it and does not copy it. Calls of tools that are not offered stay.
    """
    if not calls:
        return []
    said = Said.of(messages)
    kept = []
    for call in calls:
        schema = next((tool.parameters for tool in tools if tool.name == call.name), None)
        grounded = _grounded(call, schema, said) if schema is not None else call
        if grounded is not None:
            kept.append(grounded)
    return kept


def _grounded(call: ToolCall, schema: Mapping[str, Any], said: Said) -> ToolCall | None:
    properties, needed = schema.get("properties"), needed_of(schema)
    if not isinstance(properties, Mapping):
        return call
    for key in needed:
        part = properties.get(key)
        derived = isinstance(part, Mapping) and ("enum" in part or "const" in part)
        if not derived and (key not in call.arguments or not said.backs(call.arguments[key])):
            return None
    optional = any(key in properties and key not in needed for key in call.arguments)
    taken = words_of(call.arguments, needed) if optional else frozenset()
    arguments = {
        key: said.only_said(value)
        for key, value in call.arguments.items()
        if key in needed or key not in properties or said.asks_for(value, taken)
    }
    if any(map(is_texts, arguments.values())):
        others = {value for value in arguments.values() if isinstance(value, str)}
        arguments = {
            key: [item for item in value if item not in others] if is_texts(value) else value for key, value in arguments.items()
        }
    return call if arguments == call.arguments else call.model_copy(update={"arguments": arguments})
