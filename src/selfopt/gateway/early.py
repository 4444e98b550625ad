"""Finds the calls of a streamed reply that are certain before it ends."""

from __future__ import annotations

from collections.abc import Sequence

from selfopt.dialects.clients import ClientRequest
from selfopt.reading import GrowingReply, chain_of, read_calls
from selfopt.reading.growing import by_native
from selfopt.records import ChatChunk, ReplyContent, ToolCall, Variant
from selfopt.variants import options_of

from .bounded import beside
from .flow import Flow
from .reported import lasting_calls, wanted_calls


def drops_calls(variant: Variant) -> bool:
    """Say whether the variant may drop or replace calls that it reads, which takes whole replies."""
    return bool(variant.options.get("ground")) or options_of(variant).asks_again or chain_of(variant.parsers).drops


def asked_once(variant: Variant) -> Variant:
    """Return the variant without requests about a reply, for replies that are in a client's own form."""
    if not options_of(variant).asks_again:
        return variant
    options = {key: value for key, value in variant.options.items() if key not in ("votes", "retry", "more")}
    return variant.model_copy(update={"options": options})


def may_flow(variant: Variant, asked: ClientRequest) -> bool:
    """Say whether the text of a reply may go to the client as it comes.

    It may not where a constraint shapes it, where it is corrected once it is whole, and where
    another attempt follows if it holds no call.
    """
    corrected = drops_calls(variant)
    return variant.constraint == "none" and variant.steps == "single" and not corrected and asked.request.tool_choice == "auto"


class EarlyCalls:
    """Reads a variant's reply as it comes, and sends what is certain."""

    def __init__(self, variant: Variant, asked: ClientRequest, flow: Flow, *, talks: bool) -> None:
        """talks: whether the text of the reply may be an answer."""
        self._variant = variant
        self._asked = asked
        self._flow = flow
        self._talks = talks
        self._native = by_native(variant.parsers)
        single = variant.steps == "single" and not drops_calls(variant)
        thinks = variant.sampling.thinking_tokens > 0 and not self._native
        self._growing = (
            GrowingReply(variant.parsers, asked.request.tools, asked.request.messages) if single and not thinks else None
        )
        self.wants_pieces = talks or (self._growing is not None and self._growing.goes_on)

    async def settled(self, content: ReplyContent | None) -> None:
        """Send the calls that the steps so far make certain."""
        if content is not None:
            asked = self._asked
            size = len(content.text) + asked.size
            parsed = await beside(size, read_calls, self._variant.parsers, content, asked.request.tools, asked.request.messages)
            await self._hand_over(parsed.tool_calls)

    async def take(self, chunk: ChatChunk) -> None:
        """Take a piece of the reply."""
        if self._talks:
            await self._flow.feed(chunk.text)
        growing = self._growing
        if growing is not None and growing.goes_on and growing.add(chunk.text, chunk.tool_calls):
            size = len(growing.text) + self._asked.size
            await self._hand_over(await beside(size, growing.calls))

    async def _hand_over(self, calls: Sequence[ToolCall]) -> None:
        await self._flow.say_calls((lasting_calls if self._native else wanted_calls)(calls, self._asked))
