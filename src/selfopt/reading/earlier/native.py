"""Tool calls that the server reported in its own fields."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.reading.readers.base import NOTHING, Found
from selfopt.reading.wire_names import own_names
from selfopt.records import ReplyContent, ToolCall, ToolDefinition


class NativeReader:
    """Takes the calls from the server's tools API.

    Reports calls as unread if their arguments are no JSON object.
    """

    version = 1

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        calls = content.tool_calls
        if calls:
            own = own_names(tuple(tool.name for tool in tools))
            renamed = (call.model_copy(update={"name": own[call.name]}) if call.name in own else call for call in calls)
            return Found(tuple(renamed) if own else calls, "native tool calls")
        broken = len(content.broken_tool_calls)
        return Found(unread=f"{broken} native tool calls whose arguments are no JSON object") if broken else NOTHING

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """See `GrowingReader.certain`."""
        return self.read(content, tools).calls


READER = NativeReader()
