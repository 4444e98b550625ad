"""Asks a model in a second way, and compares its calls with those of its first answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Protocol

from selfopt.dialects.clients import ClientRequest
from selfopt.errors import EndpointError
from selfopt.reading import read_calls
from selfopt.reading.agreement import OtherCalls
from selfopt.records import ParsedReply, ReplyContent, Usage, Variant

from .behind import swayed, unsent, why_past
from .bounded import beside
from .live_request import LiveRequest
from .observing import Observing
from .seams import Upstream
from .ticket import LiveAttempt

SHARE_OF_TIME = 0.9
"""So much of the time that is left of an attempt the second way may take. The rest is for what follows."""


class Asks(Protocol):
    """Sends the requests of a variant."""

    usage: Usage

    async def reply(self, variant: Variant, asked: ClientRequest, observing: Observing) -> ReplyContent | None:
        """Return what the parsers read; None where a step lacks what it reads. Raises EndpointError."""
        ...


@dataclass(frozen=True, slots=True)
class SecondAsking:
    """One request in a second way.

    Attributes:
        variant: the second way.
        exchange: the chat; the ticket of its own is not looked at.
        until: loop time at which the attempt ends.
    """

    variant: Variant
    exchange: LiveRequest
    until: float

    async def ask(
        self,
        asked: ClientRequest,
        observing: Observing,
        parsed: ParsedReply,
        asking: Callable[[LiveRequest], Asks],
    ) -> OtherCalls | None:
        """Ask, and note the attempt. Where it fails nothing is known of its calls.

        None where the client's limit cut the reply: what it would have called tells nothing then.

        Args:
            observing: of the first way.
            parsed: what was read in the first way.
            asking: sends requests; what they say about the answer is noted in the chat that it gets.
        """
        exchange, ticket = self.exchange, self.exchange.ticket
        shadow = replace(exchange, ticket=replace(ticket, attempts=[]), held=None)
        shadow.upstream = exchange.upstream
        watching = observing.beside(self.variant, shadow)
        if watching.in_vain:
            return OtherCalls()
        work, fault, began = asking(shadow), "broken_off", perf_counter()
        other: OtherCalls | None = OtherCalls()
        try:
            async with asyncio.timeout((self.until - asyncio.get_running_loop().time()) * SHARE_OF_TIME):
                other = await self._calls(work, asked, watching, shadow.upstream)
            fault = ""
        except TimeoutError:
            fault = "timeout"
        except EndpointError as error:
            fault = error.kind
        finally:
            taken_s = perf_counter() - began
            ticket.bill.beside(exchange.upstream.model, work.usage, taken_s, fault)
            ticket.compared = LiveAttempt(
                exchange.upstream.model,
                round(taken_s * 1000, 3),
                fault,
                input_tokens=work.usage.input_tokens,
                output_tokens=work.usage.output_tokens,
                second=self.variant.name,
                agrees=None if other is None else other.agrees(parsed.tool_calls),
            )
        return other

    async def _calls(self, work: Asks, asked: ClientRequest, watching: Observing, upstream: Upstream) -> OtherCalls | None:
        content = await work.reply(self.variant, asked, watching)
        if content is None:
            return OtherCalls()
        if cut_short(self.variant, asked, content):
            return None
        request, size = asked.request, asked.size + len(content.text)
        read = await beside(size, read_calls, self.variant.parsers, content, request.tools, request.messages, upstream.family())
        return OtherCalls() if watching.fails(read, content) else OtherCalls.read(content, read)


def cut_short(variant: Variant, asked: ClientRequest, content: ReplyContent) -> bool:
    """Say whether the client's limit cut a reply shorter than it was measured. A piece looks surer than it all."""
    return content.finish_reason == "length" and 0 < (asked.max_tokens or 0) < variant.sampling.max_tokens


def second_measured(variant: Variant, asked: ClientRequest, upstream: Upstream) -> bool:
    """Say whether a request can be asked in this second way as those of the calibration were."""
    past = why_past(variant, asked) or unsent(variant, asked, upstream)
    return past is None and not swayed(variant, asked)
