"""Tells arguments that the conversation backs from those that the model made up."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .earlier.ground import ground_calls as _ground_calls


def grounded(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """Remove what nothing in the conversation backs."""
    return _ground_calls(calls, messages, tools), []
