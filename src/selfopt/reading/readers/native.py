"""Tool calls that the server reported in its own fields."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.reading.earlier.native import READER as _BEFORE
from selfopt.records import ReplyContent, ToolCall, ToolDefinition

from .base import Found


class NativeReader:
    """Takes the calls from the server's tools API, and mends what is broken in them."""

    version = 2

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """See `Reader.read`."""
        return _BEFORE.read(content, tools)

    def certain(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Sequence[ToolCall]:
        """See `GrowingReader.certain`."""
        return self.read(content, tools).calls


READER = NativeReader()
