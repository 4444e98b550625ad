"""Requests beside chats: embeddings, completions and rankings go to the model that they name, or to nobody."""

from __future__ import annotations

from selfopt.dialects.chat_body import STEP_BYTES, at_once
from selfopt.dialects.clients import ClientDialect
from selfopt.dialects.routes import Route, reading_passed
from selfopt.web import HttpRequest, Reply

from .bounded import by_steps
from .keys import Caller
from .live_request import LiveRequest
from .service import ChatParts, Service
from .ticket import Ticket


class PassThroughService(Service):
    """Passes the requests of one route on, under the rules of chats without tools.

    No fallback answers one: another model's vectors are of another space, and its text is another
    model's. No variant shapes it, and no confidence is asked of it.
    """

    def __init__(self, parts: ChatParts, dialect: ClientDialect, route: Route) -> None:
        super().__init__(parts, dialect)
        self._route: Route = route
        self._path = b"/%s" % route.encode()

    async def _serve(self, request: HttpRequest, reply: Reply, caller: Caller, ticket: Ticket) -> None:
        ticket.outcome, ticket.route = "rejected", self._route
        steps = reading_passed(request.body, self._parts.options.body, self._route)
        body = at_once(steps) if len(request.body) <= STEP_BYTES else await by_steps(steps)
        ticket.model, ticket.stream = body.model, body.stream
        ticket.model = model = await self._resolved(body.model, caller)
        rules = self._parts.rules.current
        ticket.version = rules.config.version
        decision = rules.decide(model, body.phase, calls_tools=False)
        await self._decided(decision, ticket)
        deadline = request.at + self._parts.options.own.deadline_s
        path, lines = self._dialect.passed.addressed(request.headers, request.query)
        path = self._path + b"".join(path.partition(b"?")[1:])
        exchange = LiveRequest(
            self._dialect, body, reply, ticket, deadline, plain=True, route=self._route, path=path, lines=lines
        )
        await self._attempted(exchange, decision, rules)
