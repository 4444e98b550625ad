"""Fits calls to the tools they are meant for: names, types and optional arguments."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import Correction, Message, ToolCall, ToolDefinition

from .earlier.fit import fit_calls as _fit_calls


def fitted(
    calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]
) -> tuple[list[ToolCall], list[Correction]]:
    """Fit each call to its tool."""
    return _fit_calls(calls, messages, tools), []


def fit_calls(calls: Sequence[ToolCall], messages: Sequence[Message], tools: Sequence[ToolDefinition]) -> list[ToolCall]:
    """Fit each call to its tool. See `fitted`, which also says what it changed."""
    return fitted(calls, messages, tools)[0]
