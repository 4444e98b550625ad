"""Whether two replies to the same request make the same calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selfopt.records import ParsedReply, ReplyContent, ToolCall

from .conversions import key_of


def calls_key(calls: Iterable[ToolCall]) -> str:
    """A text that equal calls share, whatever their order and that of their arguments."""
    return "\n".join(sorted(key_of([call.name, call.arguments]) for call in calls))


@dataclass(frozen=True, slots=True)
class OtherCalls:
    """The calls of a reply that was asked for in a second way.

    Attributes:
        calls: None where there is nothing to compare with: no reply, or one with a call that was not
            read.
    """

    calls: tuple[ToolCall, ...] | None = None

    @classmethod
    def read(cls, content: ReplyContent, parsed: ParsedReply) -> OtherCalls:
        """What a reply says. parsed: what was read in it."""
        unread = parsed.unread is not None or bool(content.broken_tool_calls)
        return cls(None if unread and not parsed.tool_calls else parsed.tool_calls)

    def agrees(self, calls: Iterable[ToolCall]) -> bool | None:
        """Whether these are the same calls, or both are none. None where nothing tells it."""
        return None if self.calls is None else calls_key(self.calls) == calls_key(calls)
