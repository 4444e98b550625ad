"""Chats in every dialect of clients: decides who serves, has it answered, and records it."""

from __future__ import annotations

from selfopt.dialects.chat_body import STEP_BYTES, at_once
from selfopt.dialects.refusal import bad_request
from selfopt.records import NO_TOOLS, Phase
from selfopt.web import HttpRequest, Reply

from .bounded import by_steps
from .keys import Caller
from .live_request import LiveRequest
from .service import Service
from .ticket import Ticket
from .tool_offer import tools_offered


class ChatService(Service):
    """Serves chats under the rules in force."""

    async def _serve(self, request: HttpRequest, reply: Reply, caller: Caller, ticket: Ticket) -> None:
        ticket.outcome = "rejected"
        steps = self._dialect.reading_body(request.body, self._parts.options.body)
        chat = at_once(steps) if len(request.body) <= STEP_BYTES else await by_steps(steps)
        earlier = self._parts.earlier
        if earlier is not None:
            chat = await earlier.recalled(chat, caller.key)
        ticket.model, ticket.stream = chat.model, chat.stream
        ticket.model = model = await self._resolved(chat.model, caller)
        ticket.phase = phase = self._phase(request, caller) or chat.phase
        rules = self._parts.rules.current
        ticket.version = rules.config.version
        tools = tools_offered(chat) if rules.finer else NO_TOOLS
        decision = rules.decide(model, phase, calls_tools=chat.calls_tools, tools=tools)
        await self._decided(decision, ticket)
        path, lines = self._dialect.passed.addressed(request.headers, request.query)
        exchange = LiveRequest(
            self._dialect,
            chat,
            reply,
            ticket,
            deadline=request.at + self._parts.options.own.deadline_s,
            plain=self._without_variant(request, caller),
            tools=tools,
            path=path,
            lines=lines,
        )
        if earlier is not None:
            earlier.keep_for(exchange)
        await self._attempted(exchange, decision, rules)

    def _phase(self, request: HttpRequest, caller: Caller) -> Phase | None:
        wanted = request.headers.get(b"x-selfopt-phase")
        if wanted is None:
            return None
        caller.require("phase", "choose the phase (x-selfopt-phase)")
        if wanted not in (b"atomic", b"extended"):
            raise bad_request("the header x-selfopt-phase must be atomic or extended", code="invalid_header")
        return "atomic" if wanted == b"atomic" else "extended"

    def _without_variant(self, request: HttpRequest, caller: Caller) -> bool:
        wanted = request.headers.get(b"x-selfopt-variant")
        if wanted is not None:
            caller.require("variant", "switch the variant off (x-selfopt-variant)")
            if wanted != b"off":
                raise bad_request("the header x-selfopt-variant must be off", code="invalid_header")
        return wanted is not None
