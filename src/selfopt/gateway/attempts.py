"""Asks until somebody answers: retries first, then the fallbacks, within one deadline."""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

from selfopt.dialects.refusal import Refusal
from selfopt.errors import ConsentError, EndpointError, EndpointFault, UsageError
from selfopt.home import escape_control
from selfopt.records import RouteDecision
from selfopt.web import Pool

from .gates import EndpointGate
from .harness import Harness
from .live_request import LiveRequest
from .options import GatewayOptions
from .refusal import from_endpoint_error
from .rules import RulesInForce
from .seams import Upstream, Upstreams
from .sinks import TrailSink
from .ticket import LiveAttempt

# Another model may answer after these. The other faults lie in the request or in the settings.
FALLS_BACK: frozenset[EndpointFault] = frozenset({"timeout", "connect", "loading", "rate_limited", "server", "protocol"})
# With a fallback at hand, a retry after these would only cost time.
ASKED_ONCE: frozenset[EndpointFault] = frozenset({"timeout", "connect"})
LONGEST_PATIENCE_S = 2.0
PROBE_TIMEOUT_S = 5.0
SHORTEST_ATTEMPT_S = 0.02


class Attempts:
    """Runs the attempts of requests."""

    def __init__(self, options: GatewayOptions, upstreams: Upstreams, pool: Pool, audit: TrailSink, answerer: Harness) -> None:
        self._options = options
        self._upstreams = upstreams
        self._pool = pool
        self._audit = audit
        self._answerer = answerer
        self._loop = asyncio.get_running_loop()
        self.gates: dict[str, EndpointGate] = {}

    async def serve(self, exchange: LiveRequest, decision: RouteDecision, rules: RulesInForce) -> None:
        """Answer the client. Raises Refusal when nobody could, or the request may go to nobody."""
        if decision.outcome == "fallback":
            self._divert(exchange, decision, "rule")
        standbys = deque(rules.standbys(decision, calls_tools=exchange.chat.calls_tools, tools=exchange.tools))
        spoke: RouteDecision | None = None  # whoever answered first, though not as asked
        while True:
            try:
                error = await self._ask(exchange, decision, helped=bool(standbys))
            except ConsentError as refused:
                if not standbys and spoke is None:
                    raise Refusal(
                        403, escape_control(str(refused), 1000), code="no_consent", kind="permission_error", param="model"
                    ) from None
                error = EndpointError(str(refused), kind="connect", final=True)
            if error is None:
                return
            if standbys and error.blames == "content" and error.kind == "protocol":
                spoke, exchange.answered = spoke or decision, True
            elif spoke is not None and (not standbys or error.kind not in FALLS_BACK):
                standbys.clear()
                decision, spoke, exchange.answered = spoke, None, False
                self._back(exchange, decision)
                continue
            if error.kind not in FALLS_BACK or not standbys or self._left(exchange) <= SHORTEST_ATTEMPT_S:
                raise from_endpoint_error(error, f"endpoint {(decision.model or '').partition('/')[0]}")
            reason = f"{escape_control(decision.model or '', 200)} failed: {error.kind}"
            decision = standbys.popleft().model_copy(update={"reason": reason})
            self._divert(exchange, decision, error.kind)

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
            upstream = self._upstreams.find(decision.model or "", decision.original_model)
        except UsageError as unknown:  # a rule names a model that the settings do not know
            return EndpointError(str(unknown), kind="connect", final=True)
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
            gate = EndpointGate(upstream.gate, upstream.concurrency, self._options, lambda: self._probe(upstream))
            self.gates[upstream.gate] = gate
        return gate

    async def _once(self, exchange: LiveRequest, gate: EndpointGate, *, hurried: bool) -> EndpointError | None:
        """Make one attempt. hurried: the request's deadline left it less than the usual time."""
        ticket, upstream = exchange.ticket, exchange.upstream
        began, fault = perf_counter(), ""
        try:
            gate.check(upstream.known_as)
        except EndpointError as error:
            ticket.attempts.append(LiveAttempt(upstream.model, 0.0, "down"))
            return error
        try:
            await gate.enter()
        except BaseException:
            gate.undecided(upstream.known_as)
            raise
        exchange.crowded = lambda: bool(gate.waiting)
        try:
            await self._answerer.answer(exchange)
        except EndpointError as error:
            fault = error.kind
            if hurried and error.kind == "timeout":
                error.blame("content")
            gate.failed(upstream.known_as, error)
            return error
        except BaseException:
            fault = "broken_off"
            gate.undecided(upstream.known_as)
            raise
        else:
            gate.worked(upstream.known_as)
            return None
        finally:
            gate.leave()
            ticket.attempts.append(LiveAttempt(upstream.model, round((perf_counter() - began) * 1000, 3), fault))

    async def _probe(self, upstream: Upstream) -> bool:
        """Say whether the endpoint answers, without generating, loading or waking anything."""
        if upstream.address is None:
            return (await self._upstreams.status(upstream)).state != "unknown"
        try:
            reply = await self._pool.ask(
                upstream.address,
                upstream.address.get,
                timeout_s=PROBE_TIMEOUT_S,
                connect_timeout_s=self._options.limits.connect_timeout_s,
                max_bytes=upstream.max_reply_bytes,
            )
        except EndpointError:
            return False
        return reply.status < 500
