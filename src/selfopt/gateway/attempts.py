"""Asks until somebody answers: retries first, then the fallbacks, or whoever is surer, within one deadline."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Protocol

from selfopt.dialects.chat_body import ChatBody
from selfopt.dialects.refusal import Refusal
from selfopt.errors import ConsentError, EndpointError, EndpointFault, UsageError
from selfopt.home import escape_control
from selfopt.records import RouteDecision, Rule, Voided
from selfopt.web import Pool
from selfopt.words.unsure import nobody_surer_text, not_served_text

from .allowances import Allowances
from .conversations import Conversations
from .escalation import Escalating
from .gates import LONGEST_PROBE_S, EndpointGate
from .harness import Harness
from .live_request import LiveRequest
from .offered import may_call
from .options import GatewayOptions
from .refusal import from_endpoint_error
from .rival import Rival
from .rules import RulesInForce
from .seams import Upstream, Upstreams
from .shared_breaks import SharedBreaks
from .sinks import TrailSink

# Another model may answer after these. The other faults lie in the request or in the settings.
FALLS_BACK: frozenset[EndpointFault] = frozenset({"timeout", "connect", "loading", "rate_limited", "server", "protocol"})
# With a fallback at hand, a retry after these would only cost time.
ASKED_ONCE: frozenset[EndpointFault] = frozenset({"timeout", "connect"})
LONGEST_PATIENCE_S = 2.0
SHORTEST_ATTEMPT_S = 0.02


class Judges(Protocol):
    """Is told of the answers that thresholds judge. Never waits."""

    def judged(self, rule: Rule, request_id: str, chat: ChatBody, sure: bool) -> None:
        """Take in whether an answer was sure enough for a rule."""
        ...

    def failed(self, rule: Rule, request_id: str) -> None:
        """Take in that an answer could not be served in the end, however sure it was."""
        ...


@dataclass(frozen=True, slots=True)
class SureParts:
    """What serving when sure needs beside the models.

    Attributes:
        conversations: those that stronger models answer, where several processes share them.
        voided: says why a rule's threshold does not hold; None if it does.
        judges: is told of each answer that a threshold judges; None for nobody.
    """

    conversations: Conversations | None
    voided: Callable[[Rule], Voided | None]
    judges: Judges | None


@dataclass(slots=True)
class _Line:
    """Who answers a request.

    Attributes:
        decision: whose turn it is.
        standbys: who comes next, in order.
        spoke: whoever answered first, though not as asked.
        doubted, doubt: who was last not sure enough, and its answer.
        below: whether that answer is served all the same.
        escalated_from: the models whose conversations stay with a stronger one.
        rival: a stronger model that is asked at the same time.
    """

    decision: RouteDecision
    standbys: deque[RouteDecision]
    spoke: RouteDecision | None = None
    doubted: RouteDecision | None = None
    doubt: Escalating | None = None
    below: bool = False
    escalated_from: list[str] = field(default_factory=list)
    rival: Rival | None = None

    def escalated(self, decision: RouteDecision, rules: RulesInForce, *, stays: bool = False) -> None:
        """Note that another model answers for this one. stays: as it did before in this conversation."""
        when = rules.serve_when(decision)
        if (stays or (when is not None and when.sticky)) and decision.model is not None:
            self.escalated_from.append(decision.model)


@dataclass(frozen=True, slots=True)
class AttemptParts:
    """What attempts need.

    Attributes:
        answerer: makes one attempt.
        allowances: knows what the key of a request may use.
        breaks: the endpoints that are left alone, where several processes share them.
    """

    options: GatewayOptions
    upstreams: Upstreams
    pool: Pool
    audit: TrailSink
    answerer: Harness
    sure: SureParts
    allowances: Allowances
    breaks: SharedBreaks | None = None


class Attempts:
    """Runs the attempts of requests."""

    def __init__(self, parts: AttemptParts) -> None:
        """Keep the parts."""
        self._options = parts.options
        self._upstreams = parts.upstreams
        self._pool = parts.pool
        self._audit = parts.audit
        self._answerer = parts.answerer
        self._conversations = parts.sure.conversations or Conversations()
        self._voided = parts.sure.voided
        self._judges = parts.sure.judges
        self._allowances = parts.allowances
        self._breaks = parts.breaks
        self._loop = asyncio.get_running_loop()
        self.gates: dict[str, EndpointGate] = {}

    async def serve(self, exchange: LiveRequest, decision: RouteDecision, rules: RulesInForce) -> None:
        """Answer the client. Raises Refusal when nobody could, or the request may go to nobody."""
        if decision.outcome == "fallback":
            self._divert(exchange, decision, "rule")
        line = _Line(decision, deque(self._standbys(exchange, decision, rules)))
        try:
            while not await self._served(exchange, line, rules):
                pass
            for model in line.escalated_from:
                self._conversations.add(model, exchange.ticket.key, exchange.chat)
        finally:
            if line.rival is not None:
                await line.rival.end(exchange.ticket)

    def _standbys(self, exchange: LiveRequest, decision: RouteDecision, rules: RulesInForce) -> tuple[RouteDecision, ...]:
        """Return who may answer if the model fails: nobody beside chats, where another model's answer means another thing."""
        if exchange.route is not None:
            return ()
        return rules.standbys(decision, calls_tools=exchange.chat.calls_tools, tools=exchange.tools)

    async def _served(self, exchange: LiveRequest, line: _Line, rules: RulesInForce) -> bool:
        """Ask the next model. Returns whether the client was answered. Raises Refusal."""
        standbys, decision = line.standbys, line.decision
        try:
            error = await self._asked(exchange, line, rules)
        except Escalating as doubt:
            await self._escalate(exchange, line, rules, doubt)
            return False
        except ConsentError as refused:
            if not standbys and line.spoke is None:
                if self._serves_below(exchange, line):
                    return False
                raise Refusal(
                    403, escape_control(str(refused), 1000), code="no_consent", kind="permission_error", param="model"
                ) from None
            error = EndpointError(str(refused), kind="connect", final=True)
        if error is None:
            return True
        if standbys and error.blames == "content" and error.kind == "protocol":
            line.spoke, exchange.answered = line.spoke or decision, True
        elif line.spoke is not None and (not standbys or error.kind not in FALLS_BACK):
            standbys.clear()
            line.decision, line.spoke, exchange.answered = line.spoke, None, False
            line.below = exchange.ticket.below = False
            self._back(exchange, line.decision)
            return False
        if error.kind not in FALLS_BACK or not standbys or self._left(exchange) <= SHORTEST_ATTEMPT_S:
            if self._serves_below(exchange, line, error.kind):
                return False
            refusal = from_endpoint_error(error, f"endpoint {(decision.model or '').partition('/')[0]}")
            raise refusal if line.doubt is None else refusal.for_good()
        if exchange.serve_when is not None:
            exchange.ticket.escalated.append("failed")
            line.escalated(decision, rules)
        line.below = exchange.ticket.below = False
        reason = f"{escape_control(decision.model or '', 200)} failed: {error.kind}"
        line.decision = standbys.popleft().model_copy(update={"reason": reason})
        self._divert(exchange, line.decision, error.kind)
        return False

    async def _asked(self, exchange: LiveRequest, line: _Line, rules: RulesInForce) -> EndpointError | None:
        """Ask the model whose turn it is, and maybe a stronger one at the same time. Raises as `_ask`, and Escalating."""
        decision, rival = line.decision, line.rival
        if not line.below:
            exchange.held = None  # another model's
        if rival is not None and rival.model == decision.model and not rival.gone:
            line.rival, exchange.serve_when = None, None
            return await rival.answer(exchange)
        about_tools = exchange.chat.calls_tools and not exchange.plain
        exchange.serve_when = when = rules.serve_when(decision) if about_tools and not line.below else None
        if about_tools and not line.below and self._stays(exchange, decision, rules):
            raise Escalating("sticky")
        if when is not None:
            rule = decision.serving_rule
            if not may_call(exchange.chat):
                exchange.serve_when = None
            elif rule is not None and (voided := self._voided(rule)) is not None:
                exchange.ticket.voided = voided.kind
                raise Escalating("voided")
            elif when.parallel and rival is None:
                self._race(exchange, line, rules)
            if rule is not None and self._judges is not None:
                exchange.judged = partial(self._judges.judged, rule, exchange.ticket.id, exchange.chat)
        return await self._ask(exchange, decision, helped=bool(line.standbys))

    def _stays(self, exchange: LiveRequest, decision: RouteDecision, rules: RulesInForce) -> bool:
        """Say whether a conversation stays with a stronger model than this one."""
        when = rules.serve_when(decision)
        if not rules.sticky or (when is not None and not when.sticky):
            return False
        if not self._conversations.goes_on(decision.model or "", exchange.ticket.key, exchange.chat):
            return False
        return when is not None or bool(rules.kept_with(decision, tools=exchange.tools))

    def _race(self, exchange: LiveRequest, line: _Line, rules: RulesInForce) -> None:
        """Ask the stronger model at the same time, unless it has to be sure itself. Its answer waits."""
        stronger = rules.stronger(line.decision, tools=exchange.tools)
        if stronger and rules.serve_when(stronger[0]) is None:
            line.rival = rival = Rival(exchange, stronger[0], lambda shadow: self._ask(shadow, stronger[0], helped=False))
            exchange.certain = rival.cancel

    async def _escalate(self, exchange: LiveRequest, line: _Line, rules: RulesInForce, doubt: Escalating) -> None:
        """Turn to the model that answers what this one is not sure of. Raises Refusal if there is none."""
        ticket, decision = exchange.ticket, line.decision
        ticket.escalated.append(doubt.because)
        line.doubted, line.doubt = decision, doubt
        stays = doubt.because == "sticky"
        line.escalated(decision, rules, stays=stays)
        line.standbys = deque((rules.kept_with if stays else rules.stronger)(decision, tools=exchange.tools))
        reason = not_served_text(decision.model or "", doubt.because, ticket.confidence, ticket.least, ticket.voided)
        if line.standbys and self._left(exchange) > SHORTEST_ATTEMPT_S:
            line.decision = line.standbys.popleft().model_copy(update={"reason": reason})
            self._divert(exchange, line.decision, doubt.because)
            return
        if self._serves_below(exchange, line):
            return
        ticket.outcome, ticket.reason, ticket.served = "refused", reason, None
        refused = decision.model_copy(update={"outcome": "refuse", "model": None, "reason": reason})
        await self._audit.append(ticket.audit_event(refused))
        raise Refusal(422, nobody_surer_text(reason), code="not_sure_enough", kind="upstream_error").for_good()

    def _serves_below(self, exchange: LiveRequest, line: _Line, kind: EndpointFault | None = None) -> bool:
        """Say whether an answer is served though it is not sure, and turn back to its model."""
        if line.doubted is None or line.doubt is None or line.below or kind == "bad_request":
            return False
        if self._options.serve.when_fallback_fails != "serve":
            return False
        line.decision, line.below, exchange.held = line.doubted, True, line.doubt.held
        line.escalated_from.clear()
        exchange.ticket.below, exchange.answered = True, False
        self._back(exchange, line.decision)
        return True

    def _divert(self, exchange: LiveRequest, decision: RouteDecision, why: str) -> None:
        ticket = exchange.ticket
        ticket.served, ticket.fallback = decision.model, why
        audited = self._audit.append(ticket.audit_event(decision))
        exchange.audited = audited if exchange.audited is None else asyncio.gather(exchange.audited, audited)

    def _back(self, exchange: LiveRequest, decision: RouteDecision) -> None:
        """Return to a model whose answer was set aside for a fallback that then failed."""
        ticket = exchange.ticket
        ticket.served = decision.model
        if decision.outcome != "fallback":
            ticket.fallback = ""

    def _left(self, exchange: LiveRequest) -> float:
        return exchange.deadline - self._loop.time()

    async def _ask(self, exchange: LiveRequest, decision: RouteDecision, *, helped: bool) -> EndpointError | None:
        """Make all attempts at one model.

        Returns None when the client was answered, else the last error. helped: whether a fallback
        is left.
        """
        options, rule = self._options, decision.serving_rule
        limits = rule.limits if rule is not None else None
        retries = limits.retries if limits is not None and limits.retries is not None else options.limits.retries
        timeout_s = limits.timeout_s if limits is not None and limits.timeout_s is not None else options.limits.timeout_s
        try:
            upstream = self._upstreams.find(decision.model or "", decision.original_model, exchange.route)
        except UsageError as unknown:  # a rule names a model that the settings do not know
            return EndpointError(str(unknown), kind="connect", final=True)
        self._allowances.hold(exchange, upstream.model)
        exchange.upstream, exchange.rule, exchange.helped = upstream, rule, helped
        gate = self._gate(upstream)
        for number in range(retries + 1):
            exchange.timeout_s = min(timeout_s, max(self._left(exchange), 0.001))
            error = await self._once(exchange, gate, hurried=exchange.timeout_s < timeout_s)
            if error is None:
                return None
            pause_s = max(error.retry_after_s or 0.0, 0.0 if error.kind == "connect" else options.backoff_s * 2.0**number)
            if (
                number == retries
                or not error.retryable
                or (helped and error.kind in ASKED_ONCE)
                or pause_s > LONGEST_PATIENCE_S
                or self._left(exchange) <= pause_s + SHORTEST_ATTEMPT_S
            ):
                return error
            if pause_s:
                await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns")

    def _gate(self, upstream: Upstream) -> EndpointGate:
        gate = self.gates.get(upstream.gate)
        if gate is None:
            shared = None if self._breaks is None else self._breaks.of(upstream.gate)
            gate = EndpointGate(upstream.gate, upstream.concurrency, self._options, lambda: self._probe(upstream), shared)
            self.gates[upstream.gate] = gate
        return gate

    def close_gates(self) -> None:
        """Close the gate of every endpoint."""
        for gate in self.gates.values():
            gate.close()

    async def _once(self, exchange: LiveRequest, gate: EndpointGate, *, hurried: bool) -> EndpointError | None:
        """Make one attempt. hurried: the request's deadline left it less than the usual time."""
        ticket, upstream = exchange.ticket, exchange.upstream
        began, fault, doubted = perf_counter(), "", None
        try:
            gate.check(upstream.known_as)
        except EndpointError as error:
            ticket.end_attempt(upstream.model, 0.0, "down")
            return error
        try:
            await gate.enter()
        except BaseException:
            gate.undecided(upstream.known_as)
            raise
        exchange.crowded = lambda: bool(gate.waiting)
        entered, trace = perf_counter(), ticket.trace
        ticket.bill.begin(upstream.model, entered)
        span = None if trace is None else trace.begin_attempt(upstream, entered)
        try:
            await self._answerer.answer(exchange)
        except EndpointError as error:
            fault = error.kind
            if self._judges is not None and exchange.serve_when is not None and exchange.rule is not None:
                self._judges.failed(exchange.rule, ticket.id)
            if hurried and error.kind == "timeout":
                error.blame("content")
            gate.failed(upstream.known_as, error)
            return error
        except Escalating as doubt:
            doubted = doubt
            (gate.undecided if doubt.held is None else gate.worked)(upstream.known_as)
            raise
        except BaseException:
            fault = "broken_off"
            gate.undecided(upstream.known_as)
            raise
        else:
            gate.worked(upstream.known_as)
            return None
        finally:
            gate.leave()
            ended = perf_counter()
            ticket.bill.close(upstream.model, ended - entered, fault)
            ticket.end_attempt(upstream.model, (ended - began) * 1000, fault, doubted)
            if trace is not None:
                trace.end_attempt(span, ticket, ended)

    async def _probe(self, upstream: Upstream) -> bool:
        """Say whether the endpoint answers, without generating, loading or waking anything."""
        if upstream.address is None:
            return (await self._upstreams.status(upstream)).state != "unknown"
        try:
            reply = await self._pool.ask(
                upstream.address,
                upstream.address.get,
                timeout_s=LONGEST_PROBE_S,
                connect_timeout_s=self._options.limits.connect_timeout_s,
                max_bytes=upstream.max_reply_bytes,
            )
        except EndpointError:
            return False
        return reply.status < 500
