"""Ends a reply early: one that repeats itself, and one that others wait too long for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from typing import Literal

from selfopt.reading.repeats import SPAN, RepeatWatch
from selfopt.records import ChatChunk, ChatReply, EnoughError, ReplyContent, ToolCall, Usage

Cut = Literal["repeats", "slot"]
SLACK = 4
LONG_RUN = 8192
"""A reply that no variant limits, or a call, runs away once so many characters are one piece repeated: a table of
zeros may be wanted."""


class Runaway:
    """Watches the parts of a reply that no variant limits, each by itself."""

    __slots__ = ("_watches",)

    def __init__(self) -> None:
        self._watches: dict[str, RepeatWatch] = {}

    def look(self, part: str, text: str) -> bool:
        """Take a piece of a part, such as the thinking. Returns whether that repeats itself."""
        watch = self._watches.get(part)
        if watch is None:
            watch = self._watches[part] = RepeatWatch(LONG_RUN)
        return watch.feed(text)


class Cutter:
    """Watches one reply of a model while it streams.

    Attributes:
        cut: why the reply is to be ended; None while it may go on.
    """

    def __init__(self, most_tokens: int | None, crowded: Callable[[], bool], span: int = SPAN) -> None:
        """Begin.

        Args:
            most_tokens: what a reply may need while others wait for its place; None for any number.
            crowded: says whether others wait.
            span: how many characters of its text have to be one piece repeated.
        """
        self.cut: Cut | None = None
        self._most = most_tokens
        self._crowded = crowded
        self._answer, self._thought, self._called = RepeatWatch(span), RepeatWatch(span), RepeatWatch(LONG_RUN)
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[ToolCall] = []

    def take(self, chunk: ChatChunk) -> bool:
        """Take a piece of the reply. Returns whether to end it. A server sends a piece for each token."""
        if chunk.text or chunk.thinking or chunk.tool_calls:
            self._text.append(chunk.text)
            self._thinking.append(chunk.thinking)
            self._calls += chunk.tool_calls
        if (
            (chunk.text and self._answer.feed(chunk.text))
            or (chunk.thinking and self._thought.feed(chunk.thinking))
            or (chunk.calling and self._called.feed(chunk.calling))
        ):
            self.cut = "repeats"
        elif self._most is not None and len(self._text) > self._most and self._crowded():
            self.cut = "slot"
        return self.cut is not None

    async def reply(self, chunks: AsyncIterator[ChatChunk]) -> ChatReply:
        """Return what came, with the call that was being written, if the stream tells it."""
        usage = Usage(output_tokens=len(self._text))
        if isinstance(chunks, AsyncGenerator):
            with suppress(EnoughError):
                last: ChatChunk = await chunks.athrow(EnoughError())
                if last.final is not None:
                    return last.final.model_copy(update={"usage": usage})
        content = ReplyContent(
            text="".join(self._text), thinking="".join(self._thinking), tool_calls=tuple(self._calls), finish_reason="length"
        )
        return ChatReply(content=content, usage=usage)


def each_once(calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
    """Return the calls of a reply that repeated itself, each once."""
    found: list[ToolCall] = []
    for call in calls:
        if not any(call.model_copy(update={"id": other.id}) == other for other in found):
            found.append(call)
    return tuple(found)
