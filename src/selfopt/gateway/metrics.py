"""Counts live requests, in Prometheus's text format.

Labels are few and bounded, and never a name that a client chose.
"""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable, Iterator, Mapping

from selfopt import __version__

from .costs import CostCounters
from .escalation_metrics import EscalationCounters
from .exposition import Histogram, counter, head, labels, quoted, with_label
from .gates import EndpointGate
from .model_metrics import ModelCounters
from .ticket import OUTRUN, RequestRecord, Ticket

CONTENT_TYPE = b"Content-Type: text/plain; version=0.0.4; charset=utf-8"
_BUILD = f"selfopt_build_info{{{labels({'version': __version__, 'python': platform.python_version()})}}} 1"
STATES = {"closed": 0, "half_open": 1, "open": 2}


class LiveCounters:
    """The counters of one process. `add` takes a few microseconds.

    Attributes:
        models: what is counted by model.
    """

    def __init__(self, models: ModelCounters | None = None) -> None:
        self.models = models or ModelCounters()
        self._requests: dict[tuple[str, int, bool], int] = {}
        self._fallbacks: dict[str, int] = {}
        self._turned_away: dict[int, int] = {}
        self._routes: dict[tuple[str, str, int], int] = {}
        self._attempts: dict[str, int] = {}
        self._tokens = [0, 0]
        self._mended = self._passed_calls = self._read = 0
        self._unsure = self._unobserved = 0
        self._passed: dict[str, int] = {}
        self._cut: dict[str, int] = {}
        self._tools_by: dict[str, int] = {}
        self._escalations = EscalationCounters()
        self._costs = CostCounters()
        self._latency = Histogram()
        self._first_byte = Histogram()

    def add(self, record: RequestRecord, ticket: Ticket) -> None:
        """Count a request that ended. ticket: what the record does not hold."""
        if record.route is not None:
            self._add_beside(record.route, record, ticket)
            return
        self._mended += ticket.mended_calls
        self._passed_calls += ticket.passed_calls
        self._read += ticket.read_calls
        self._unsure += ticket.unsure
        self._unobserved += ticket.unobserved
        if ticket.tools_by is not None:
            self._tools_by[ticket.tools_by] = self._tools_by.get(ticket.tools_by, 0) + 1
        fallback, passed, cut = ticket.fallback, ticket.passed, ticket.cut
        if passed is not None:
            self._passed[passed] = self._passed.get(passed, 0) + 1
        if cut is not None:
            self._cut[cut] = self._cut.get(cut, 0) + 1
        key = (record.outcome, record.status, record.stream)
        self._requests[key] = self._requests.get(key, 0) + 1
        if fallback:
            self._fallbacks[fallback] = self._fallbacks.get(fallback, 0) + 1
        for attempt in record.attempts:
            if attempt.fault and attempt.fault != OUTRUN:
                self._attempts[attempt.fault] = self._attempts.get(attempt.fault, 0) + 1
            if attempt.escalated or attempt.second:
                self._tokens[0] += attempt.input_tokens or 0
                self._tokens[1] += attempt.output_tokens or 0
        if ticket.least is not None or ticket.escalated:
            self._escalations.add(ticket, record.outcome)
        self._latency.add(record.latency_ms)
        if record.stream and record.first_byte_ms is not None:
            self._first_byte.add(record.first_byte_ms)
        self._tokens[0] += record.input_tokens or 0
        self._tokens[1] += record.output_tokens or 0
        self._costs.add(record, ticket)
        self.models.add(record)

    def _add_beside(self, route: str, record: RequestRecord, ticket: Ticket) -> None:
        """Count a request beside chats: it has no place in their figures, but in those of tokens, costs and faults."""
        key = (route, record.outcome, record.status)
        self._routes[key] = self._routes.get(key, 0) + 1
        for attempt in record.attempts:
            if attempt.fault:
                self._attempts[attempt.fault] = self._attempts.get(attempt.fault, 0) + 1
        self._tokens[0] += record.input_tokens or 0
        self._tokens[1] += record.output_tokens or 0
        self._costs.add(record, ticket)
        self.models.add(record)

    def _route_lines(self) -> Iterator[str]:
        yield from head("selfopt_route_requests_total", "counter", "Requests beside chats, by route, outcome and HTTP status.")
        for (route, outcome, status), count in sorted(self._routes.items()):
            yield f'selfopt_route_requests_total{{route="{route}",outcome="{outcome}",status="{status}"}} {count}'

    def turned_away(self, status: int) -> None:
        """Count a request that was refused by its head: no key, a web page, an unknown path."""
        self._turned_away[status] = self._turned_away.get(status, 0) + 1

    def text(
        self,
        gates: Collection[EndpointGate],
        gauges: Mapping[str, tuple[str, float]],
        worker: str = "",
        models: Collection[str] = (),
        more: Iterable[str] = (),
    ) -> bytes:
        """Return all counters as text.

        Args:
            gates: their state is added.
            models: the ones that are named; all others are `other`.
            gauges: (help, value) by name, added too.
            worker: a label for every figure, where several processes count.
            more: lines of others.
        """
        lines = [*head("selfopt_build_info", "gauge", "1; its labels say what runs."), _BUILD]
        lines += [*head("selfopt_requests_total", "counter", "Chats by outcome, HTTP status and whether streamed.")]
        lines += [
            f'selfopt_requests_total{{outcome="{outcome}",status="{status}",stream="{str(stream).lower()}"}} {count}'
            for (outcome, status, stream), count in sorted(self._requests.items())
        ]
        lines += self._route_lines()
        lines += head("selfopt_refusals_total", "counter", "Chats that the rules refused.")
        lines.append(f"selfopt_refusals_total {sum(n for key, n in self._requests.items() if key[0] == 'refused')}")
        lines += self._latency.lines("selfopt_request_seconds", "From a chat's first byte to the end of its answer.")
        lines += self._first_byte.lines("selfopt_first_byte_seconds", "To the first byte of a streamed answer.")
        lines += counter("selfopt_fallbacks_total", "Diverted chats by why.", "reason", self._fallbacks)
        lines += counter("selfopt_attempt_faults_total", "Attempts that failed, by fault.", "fault", self._attempts)
        away = {str(status): count for status, count in self._turned_away.items()}
        lines += counter("selfopt_turned_away_total", "Requests refused before they were read, by status.", "status", away)
        lines += counter("selfopt_passed_total", "Chats that went past the rule's variant, by why.", "reason", self._passed)
        lines += counter(
            "selfopt_tools_by_total", "Chats whose tools were to be chosen by meaning, by what chose them.", "by", self._tools_by
        )
        lines += head("selfopt_mended_calls_total", "counter", "Calls that a server reported damaged, and that were mended.")
        lines.append(f"selfopt_mended_calls_total {self._mended}")
        lines += counter("selfopt_cut_replies_total", "Replies that were ended early, by why.", "reason", self._cut)
        lines += head(
            "selfopt_passed_calls_total", "counter", "Calls that a server reported, and that were passed on as they came."
        )
        lines.append(f"selfopt_passed_calls_total {self._passed_calls}")
        lines += head("selfopt_read_calls_total", "counter", "Calls that were read from text where no variant served.")
        lines.append(f"selfopt_read_calls_total {self._read}")
        for name, said, count in (
            ("selfopt_unsure_replies_total", "Replies whose calls were withheld: the model was not sure.", self._unsure),
            ("selfopt_unobserved_replies_total", "Replies without the log probabilities that the rule needs.", self._unobserved),
        ):
            lines += [*head(name, "counter", said), f"{name} {count}"]
        lines += self.models.lines()
        lines += self._escalations.lines()
        tokens = {"input": self._tokens[0], "output": self._tokens[1]}
        lines += counter("selfopt_tokens_total", "Tokens as the servers reported them.", "kind", tokens)
        lines += self._costs.lines()
        lines += _gate_lines(gates, models)
        for name, (text, number) in gauges.items():
            lines += [*head(name, "gauge", text), f"{name} {number:g}"]
        lines += more
        return "".join(f"{with_label(line, 'worker', worker)}\n" for line in lines).encode()


def _gate_lines(gates: Collection[EndpointGate], models: Collection[str]) -> Iterator[str]:
    """Return what the gates say of endpoints, and of the models that are named."""
    for name, text, values in (
        ("selfopt_endpoint_active", "Requests at an endpoint.", {g.name: g.active for g in gates}),
        ("selfopt_queue_waiting", "Requests that wait for a place.", {g.name: len(g.waiting) for g in gates}),
        ("selfopt_breaker_state", "0 closed, 1 half open, 2 open.", {g.name: STATES[g.state] for g in gates}),
    ):
        yield from head(name, "gauge", text)
        yield from (f'{name}{{endpoint="{quoted(label)}"}} {value}' for label, value in sorted(values.items()))
    yield from head("selfopt_model_breaker_state", "gauge", "0 closed, 1 half open, 2 open, of models that failed last.")
    for (endpoint, model), state in sorted(_model_breakers(gates, models).items()):
        yield f'selfopt_model_breaker_state{{endpoint="{quoted(endpoint)}",model="{quoted(model)}"}} {state}'


def _model_breakers(gates: Collection[EndpointGate], named: Collection[str]) -> dict[tuple[str, str], int]:
    """Return the states of models by endpoint and name. `other` has the worst one."""
    found: dict[tuple[str, str], int] = {}
    for gate in gates:
        for model, breaker in gate.models.items():
            key = (gate.name, model if model in named else "other")
            found[key] = max(found.get(key, 0), STATES[breaker.state])
    return found
