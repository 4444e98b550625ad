"""What serving any request of a model needs: it is resolved, answered by whoever serves its route, and recorded."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import perf_counter, time_ns

from selfopt.dialects.clients import ClientDialect
from selfopt.dialects.refusal import Refusal, bad_request
from selfopt.errors import AuditError, UnknownModelError
from selfopt.home import escape_control
from selfopt.records import RouteDecision, utc_now
from selfopt.records.trace import present_trace
from selfopt.web import HttpRequest, Reply
from selfopt.words.rules import told_refusal_text

from .access_log import AccessLog
from .allowances import Allowances
from .attempts import Attempts
from .costs import CostBook
from .earlier import EarlierResponses
from .keys import Caller
from .live_request import LiveRequest
from .metrics import LiveCounters
from .options import GatewayOptions
from .refusal import JSON, not_audited
from .rules import RulesInForce, RulesWatch
from .seams import RequestJournal
from .sinks import TrailSink
from .ticket import Ticket
from .tracing import TracedRequest, Tracing


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What serving a chat needs.

    Attributes:
        resolve: an alias or full name to the full name; raises UnknownModelError.
        find: a name without its endpoint to the full name of a model that the client may ask for;
            raises UnknownModelError, whose text is for the client.
        one_name: gives one name for all of a model.
        access_log: None where no log is wanted.
        earlier: keeps answers for requests that go on from them; None where none are kept.
        tracing: begins the traces of requests.
        allowances: knows what the key of a request may use.
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
    tracing: Tracing = field(default_factory=Tracing)
    allowances: Allowances = field(default_factory=Allowances)
    earlier: EarlierResponses | None = None

    @property
    def costs(self) -> CostBook:
        """What says what a request cost."""
        return self.allowances.costs


class Service(ABC):
    """Answers the requests of one route."""

    def __init__(self, parts: ChatParts, dialect: ClientDialect) -> None:
        """dialect: the one that clients speak."""
        self._parts = parts
        self._dialect = dialect

    async def answer(self, request: HttpRequest, reply: Reply, caller: Caller) -> None:
        """Answer one request, and record it whatever happens.

        What cannot be recorded is not served.
        """
        ticket = Ticket(request.began)
        trace = ticket.trace = self._parts.tracing.begin(request)
        if trace is not None:
            present_trace.set(trace.told)
        try:
            self._parts.journal.check()
        except AuditError as error:
            self._parts.metrics.turned_away(503)
            if self._parts.access_log is not None:
                self._parts.access_log.turned_away(request, 503, "audit_failed")
            present_trace.set(None)
            self._tell(not_audited(error), reply, ticket)
            return
        ticket.key = caller.key
        try:
            ticket.outcome = "rejected"
            if b"x-selfopt-cost" in request.headers:
                _check_cost_wish(request)
                ticket.tells_cost = self._parts.costs.told
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
            ended = perf_counter()
            record = ticket.record(self._parts.clock(), ended, reply.status)
            record = self._parts.allowances.settle(self._parts.costs.priced(record, ticket), ticket)
            self._parts.costs.saved.add(record)
            self._parts.metrics.add(record, ticket)
            self._parts.journal.add(record)
            if self._parts.access_log is not None:
                self._parts.access_log.add(record)
            if trace is not None:
                self._parts.tracing.end(TracedRequest(record, ticket, trace, ended, time_ns()))
                present_trace.set(None)

    @abstractmethod
    async def _serve(self, request: HttpRequest, reply: Reply, caller: Caller, ticket: Ticket) -> None:
        """Read the request and have it answered. Raises Refusal and AuditError."""
        ...

    async def _decided(self, decision: RouteDecision, ticket: Ticket) -> None:
        """Note what the rules say. Raises Refusal where they refuse."""
        ticket.decision = decision
        if decision.outcome == "refuse" or decision.model is None:
            ticket.outcome, ticket.reason = "refused", decision.reason
            await self._parts.audit.append(ticket.audit_event(decision))
            told = told_refusal_text(decision.original_model, decision.phase, decision.rule)
            raise Refusal(403, told, code="refused_by_rules", kind="permission_error", param="model")
        ticket.served, ticket.outcome = decision.model, "failed"

    async def _attempted(self, exchange: LiveRequest, decision: RouteDecision, rules: RulesInForce) -> None:
        """Have the request answered. Raises Refusal and AuditError."""
        ticket = exchange.ticket
        await self._parts.attempts.serve(exchange, decision, rules)
        ticket.outcome = "rejected" if exchange.reply.status != 200 else "diverted" if ticket.fallback else "served"

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


def _check_cost_wish(request: HttpRequest) -> None:
    """Raise Refusal (400) for a wish to be told the cost that is none."""
    if request.headers[b"x-selfopt-cost"] != b"on":
        raise bad_request("the header x-selfopt-cost must be on", code="invalid_header")


def _not_found(message: str) -> Refusal:
    return Refusal(404, escape_control(message, 2000), code="model_not_found", param="model")
