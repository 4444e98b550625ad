"""Asks a stronger model at the same time, and holds its answer until it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from selfopt.errors import EndpointError
from selfopt.records import RouteDecision

from .costs import told_later
from .live_request import LiveRequest
from .ticket import OUTRUN, LiveAttempt, Ticket

# What the model's attempt says about its answer. All else is the request's.
_OF_THE_ANSWER = "variant passed kept input_tokens output_tokens mended_calls passed_calls read_calls unmet cut reason"


class Rival:
    """A model whose answer to a request is under way while another one's confidence is not known.

    Nothing of its answer is sent before `answer`: it waits where the diversions are waited for.

    Attributes:
        model: its full name.
        gone: whether it was broken off.
    """

    def __init__(
        self, exchange: LiveRequest, decision: RouteDecision, ask: Callable[[LiveRequest], Awaitable[EndpointError | None]]
    ) -> None:
        """Begin to ask. ask: makes all attempts at the model."""
        self.model = decision.model
        self.gone = False
        if exchange.ticket.tells_cost is not None:
            exchange.ticket.tells_cost = told_later  # what both cost is known once both have ended
        self._wanted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ticket = replace(exchange.ticket, attempts=[], served=decision.model)
        self._shadow = replace(exchange, ticket=self._ticket, audited=self._wanted, serve_when=None)
        self._ask = ask
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> EndpointError | None:
        return await self._ask(self._shadow)

    def cancel(self) -> None:
        """Break off: the other model is sure."""
        self.gone = True
        self._task.cancel()

    async def answer(self, exchange: LiveRequest) -> EndpointError | None:
        """Send its answer. Returns the error if there is none; raises as the attempts do."""
        ticket = exchange.ticket
        for name in ("served", "fallback", "confidence", "least", "escalated"):
            setattr(self._ticket, name, getattr(ticket, name))
        try:
            await exchange.settle()
            if not self._wanted.done():
                self._wanted.set_result(None)
            error = await self._task
        except BaseException:
            ticket.raced = "failed"
            raise
        else:
            ticket.raced = "used" if error is None else "failed"
            return error
        finally:
            self._task.cancel()
            for name in _OF_THE_ANSWER.split():
                setattr(ticket, name, getattr(self._ticket, name))
            ticket.attempts += self._ticket.attempts
            ticket.bill.rows += self._ticket.bill.rows

    async def end(self, ticket: Ticket) -> None:
        """Break off, if it was not wanted, and note the attempt in the request's ticket."""
        self._task.cancel()
        with suppress(asyncio.CancelledError, Exception):  # nobody wants to know what became of it
            await self._task
        ticket.raced = "cancelled"
        ticket.attempts += [LiveAttempt(one.model, one.ms, OUTRUN) for one in self._ticket.attempts]
        ticket.bill.rows[:0] = self._ticket.bill.rows  # the last row is who served
