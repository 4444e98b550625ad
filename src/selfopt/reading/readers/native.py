"""Tool calls that the server itself recognised."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.reading.wire_names import own_names
from selfopt.records import ParsedReply, ReplyContent, ToolCall, ToolDefinition

from .base import found, nothing

__all__ = ["NativeParser"]


class NativeParser:
    """Takes what the server's tools API reported. Calls whose arguments are no JSON object are named as unread."""

    name = "native"

    def parse(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> ParsedReply:
        """The server's calls, or none."""
        if content.tool_calls:
            return found(self.name, _own_named(content.tool_calls, tools), "native tool calls")
        if content.broken_tool_calls:
            what = f"{len(content.broken_tool_calls)} native tool calls whose arguments are no JSON object"
            return ParsedReply(recognised=what, unread=self.name)
        return nothing()


def _own_named(calls: tuple[ToolCall, ...], tools: Sequence[ToolDefinition]) -> tuple[ToolCall, ...]:
    own = own_names(tuple(tool.name for tool in tools))
    return (
        tuple(call.model_copy(update={"name": own[call.name]}) if call.name in own else call for call in calls) if own else calls
    )
