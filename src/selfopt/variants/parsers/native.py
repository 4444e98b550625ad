"""Tool calls that the server itself recognised."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.records import ParsedReply, ReplyContent, ToolDefinition

from .base import found, nothing

__all__ = ["NativeParser"]


class NativeParser:
    """Takes what the server's tools API reported. Calls whose arguments are no JSON object are named as unread."""

    name = "native"

    def parse(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> ParsedReply:
        """The server's calls, or none."""
        if content.tool_calls:
            return found(self.name, content.tool_calls, "native tool calls")
        if content.broken_tool_calls:
            what = f"{len(content.broken_tool_calls)} native tool calls whose arguments are no JSON object"
            return ParsedReply(recognised=what, unread=self.name)
        return nothing()
