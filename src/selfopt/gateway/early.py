"""Calls of a streamed reply that are certain before it ends."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.reading import EARLY_LIMIT, can_be_certain, certain_calls, read_reply
from selfopt.records import ChatChunk, ReplyContent, ToolCall, Variant

from .bounded import beside
from .dialogue import Dialogue
from .flow import Flow

__all__ = ["EarlyCalls", "wanted_calls"]

# Looks that found nothing new, after which a reply is left alone until its end: each costs as much as the reply is long.
FRUITLESS = 32


def wanted_calls(calls: Sequence[ToolCall], dialogue: Dialogue) -> tuple[ToolCall, ...]:
    """Of the calls read in a reply, those for the client: of tools that it offered, and one alone where it wants no more."""
    offered = {tool.name for tool in dialogue.tools}
    kept = tuple(call for call in calls if call.name in offered)
    return kept if dialogue.parallel else kept[:1]


class EarlyCalls:
    """Takes a reply through a variant as it comes and hands over what is certain. talks: whether its text can be an answer."""

    def __init__(self, variant: Variant, dialogue: Dialogue, flow: Flow, *, talks: bool) -> None:
        self._variant = variant
        self._dialogue = dialogue
        self._flow = flow
        self._talks = talks
        self._text = ""
        self._native: list[ToolCall] = []
        self._fruitless = 0
        single = variant.steps == "single" and not variant.options.get("ground") and can_be_certain(variant.parsers)
        thinks = variant.sampling.thinking_tokens > 0 and variant.parsers[:1] != ("native",)
        self._looks = single and not thinks
        self.wants_pieces = self._looks or talks

    async def settled(self, text: str) -> None:
        """What the steps until now make certain."""
        if text:
            content = ReplyContent(text=text)
            asked = self._dialogue
            size = len(text) + asked.size
            parsed = await beside(size, read_reply, self._variant.parsers, content, asked.tools, asked.messages)
            await self._hand_over(parsed.tool_calls)

    async def take(self, chunk: ChatChunk) -> None:
        """A piece of the reply."""
        if self._talks:
            await self._flow.feed(chunk.text)
        if not self._looks:
            return
        self._text += chunk.text
        self._native += chunk.tool_calls
        if chunk.tool_calls or "}" in chunk.text or ">" in chunk.text:
            content = ReplyContent(text=self._text, tool_calls=tuple(self._native))
            before = len(self._flow.calls)
            asked = self._dialogue
            size = len(self._text) + asked.size
            await self._hand_over(await beside(size, certain_calls, self._variant.parsers, content, asked.tools, asked.messages))
            self._fruitless += len(self._flow.calls) == before
            self._looks = self._fruitless < FRUITLESS and len(self._text) <= EARLY_LIMIT

    async def _hand_over(self, calls: Sequence[ToolCall]) -> None:
        await self._flow.say_calls(wanted_calls(calls, self._dialogue))
