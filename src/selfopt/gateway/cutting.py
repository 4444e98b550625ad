"""Ends a reply early: one that repeats itself, and one that others wait too long for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from selfopt.reading.repeats import RepeatWatch
from selfopt.records import ChatChunk, ChatReply, ReplyContent, ToolCall, Usage

Cut = Literal["repeats", "slot"]
SLACK = 4


class Cutter:
    """Watches one reply of a model while it streams.

    Attributes:
        cut: why the reply is to be ended; None while it may go on.
    """

    def __init__(self, most_tokens: int | None, crowded: Callable[[], bool]) -> None:
        """Begin.

        Args:
            most_tokens: what a reply may need while others wait for its place; None for any number.
            crowded: says whether others wait.
        """
        self.cut: Cut | None = None
        self._most = most_tokens
        self._crowded = crowded
        self._answer, self._thought = RepeatWatch(), RepeatWatch()
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []

    def take(self, chunk: ChatChunk) -> bool:
        """Take a piece of the reply. Returns whether to end it. A server sends a piece for each token."""
        self._text.append(chunk.text)
        self._thinking.append(chunk.thinking)
        self._calls += chunk.tool_calls
        if (chunk.text and self._answer.feed(chunk.text)) or (chunk.thinking and self._thought.feed(chunk.thinking)):
            self.cut = "repeats"
        elif self._most is not None and len(self._text) > self._most and self._crowded():
            self.cut = "slot"
        return self.cut is not None

    def reply(self) -> ChatReply:
        """Return what came."""
        content = ReplyContent(
            text="".join(self._text), thinking="".join(self._thinking), tool_calls=tuple(self._calls), finish_reason="length"
        )
        return ChatReply(content=content, usage=Usage(output_tokens=len(self._text)))


def each_once(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """Return the calls of a reply that repeated itself, each once."""
    found: list[ToolCall] = []
    for call in calls:
        if not any((call.name, call.arguments) == (other.name, other.arguments) for other in found):
            found.append(call)
    return tuple(found)
