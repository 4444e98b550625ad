"""Chats in every dialect of clients: decides who serves, has it answered, and records it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter

from selfopt.dialects.chat_body import STEP_BYTES, at_once
from selfopt.dialects.clients import ClientDialect
from selfopt.dialects.refusal import Refusal, bad_request
from selfopt.errors import AuditError, UnknownModelError
from selfopt.home import escape_control
from selfopt.records import NO_TOOLS, Phase, utc_now
from selfopt.web import HttpRequest, Reply
from selfopt.words.rules import told_refusal_text

from .access_log import AccessLog
from .attempts import Attempts
from .bounded import by_steps
from .costs import CostBook
from .earlier import EarlierResponses
from .keys import Caller
from .live_request import LiveRequest
from .metrics import LiveCounters
from .options import GatewayOptions
from .refusal import JSON, not_audited
from .rules import RulesWatch
from .seams import RequestJournal
from .sinks import TrailSink
from .ticket import Ticket
from .tool_offer import tools_offered


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What serving a chat needs.

    Attributes:
        resolve: an alias or full name to the full name; raises UnknownModelError.
        find: a name without its endpoint to the full name of a model that the client may ask for;
            raises UnknownModelError, whose text is for the client.
        one_name: gives one name for all of a model.
        access_log: None where no log is wanted.
        costs: says what a chat cost.
        earlier: keeps answers for requests that go on from them; None where none are kept.
    """

    options: GatewayOptions
    rules: RulesWatch
    resolve: Callable[[str], str]
    attempts: Attempts
    audit: TrailSink
    journal: RequestJournal
    find: Callable[[str, Callable[[str], bool]], Awaitable[str]]
    clock: Callable[[], str] = utc_now
    one_name: Callable[[str], str] = str
    metrics: LiveCounters = field(default_factory=LiveCounters)
    access_log: AccessLog | None = None
    costs: CostBook = field(default_factory=CostBook)
    earlier: EarlierResponses | None = None


class ChatService:
    """Serves chats under the rules in force."""

    def __init__(self, parts: ChatParts, dialect: ClientDialect) -> None:
        """dialect: the one that clients speak."""
        self._parts = parts
        self._dialect = dialect

    async def answer(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        """Answer one chat, and record it whatever happens.

        What cannot be recorded is not served.
        """
        ticket = Ticket(request.began)
        try:
            self._parts.journal.check()
        except AuditError as error:
            self._parts.metrics.turned_away(503)
            if self._parts.access_log is not None:
                self._parts.access_log.turned_away(request.method, request.path, 503, "audit_failed")
            self._tell(not_audited(error), reply, ticket)
            return
        ticket.key = caller.key
        try:
            await self._serve(request, reply, caller, ticket)
        except Refusal as refusal:
            self._tell(refusal, reply, ticket)
        except AuditError as error:
            self._tell(not_audited(error), reply, ticket)
        except asyncio.CancelledError:
            ticket.outcome, ticket.reason = "cancelled", "the client left"
            raise
        finally:
            ticket.first_byte = reply.first_byte_at
            record = ticket.record(self._parts.clock(), perf_counter(), reply.status)
            record = self._parts.costs.priced(record, ticket)
            self._parts.metrics.add(record, ticket)
            self._parts.journal.add(record)
            if self._parts.access_log is not None:
                self._parts.access_log.add(record)

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
        ticket.decision = decision = rules.decide(model, phase, calls_tools=chat.calls_tools, tools=tools)
        if decision.outcome == "refuse" or decision.model is None:
            ticket.outcome, ticket.reason = "refused", decision.reason
            await self._parts.audit.append(ticket.audit_event(decision))
            told = told_refusal_text(model, phase, decision.rule)
            raise Refusal(403, told, code="refused_by_rules", kind="permission_error", param="model")
        ticket.served, ticket.outcome = decision.model, "failed"
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
        await self._parts.attempts.serve(exchange, decision, rules)
        ticket.outcome = "rejected" if reply.status != 200 else "diverted" if ticket.fallback else "served"

    async def _resolved(self, name: str, caller: Caller) -> str:
        def may_ask(model: str) -> bool:
            return caller.may_ask(model, self._parts.one_name)

        try:
            model = self._parts.resolve(name)
        except UnknownModelError:
            try:
                model = await self._parts.find(name, may_ask)
            except UnknownModelError as error:
                raise _not_found(str(error)) from None
        if not may_ask(model):
            raise _not_found(f"this key may not ask for {name}")
        return model

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

    def _tell(self, refusal: Refusal, reply: Reply, ticket: Ticket) -> None:
        if not ticket.reason:
            ticket.reason = refusal.code
        refusal.request_id = ticket.id
        if reply.ended:
            return
        if reply.status:
            reply.break_off(refusal.closing or self._dialect.broken_off(refusal))
        else:
            reply.send(refusal.status, [JSON, *ticket.headers(), *refusal.headers], self._dialect.fault(refusal))


def _not_found(message: str) -> Refusal:
    return Refusal(404, escape_control(message, 2000), code="model_not_found", param="model")
