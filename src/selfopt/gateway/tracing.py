"""The trace that a live request belongs to, and the spans of the gateway in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from selfopt.records.trace import TraceContext, new_span_id, new_trace_id, onward_trace, read_trace

if TYPE_CHECKING:
    from selfopt.records import Usage
    from selfopt.web import HttpRequest

    from .seams import Upstream
    from .ticket import LiveAttempt, RequestRecord, Ticket

_RANGE = 2.0**64
_OPERATIONS = {
    b"/v1/embeddings": "embeddings",
    b"/v1/completions": "text_completion",
    b"/v1/rerank": "rerank",
    b"/v1/messages/count_tokens": "count_tokens",
}


@dataclass(slots=True)
class AttemptSpan:
    """One attempt at one server. Times are seconds of `perf_counter`.

    Attributes:
        facts: what is noted about the attempt.
        usage: without counts where nobody told any.
    """

    span_id: str
    upstream: Upstream
    began: float
    ended: float = 0.0
    facts: LiveAttempt | None = None
    usage: Usage | None = None


@dataclass(slots=True)
class LiveTrace:
    """The trace of one request.

    Attributes:
        came: what the client said; None if it said nothing.
        own: the gateway's span; None where the gateway makes none.
        operation: what is asked for, as the GenAI conventions call it.
    """

    came: TraceContext | None
    own: TraceContext | None
    operation: str = "chat"
    attempts: list[AttemptSpan] = field(default_factory=list)

    @property
    def told(self) -> TraceContext | None:
        """What records and messages name."""
        return self.own or self.came

    def begin_attempt(self, upstream: Upstream, began: float) -> AttemptSpan | None:
        """Begin a span, and tell the server of it if it is to know. Without spans of ours it hears the client's."""
        span = None if self.own is None else AttemptSpan(new_span_id(), upstream, began)
        sent = self.came if self.own is None or span is None else self.own.below(span.span_id)
        onward_trace.set(sent if upstream.traced else None)
        return span

    def end_attempt(self, span: AttemptSpan | None, ticket: Ticket, ended: float) -> None:
        """End a span. ticket: its last attempt and bill row are about the same."""
        onward_trace.set(None)
        if span is not None:
            span.ended, span.facts, span.usage = ended, ticket.attempts[-1], ticket.bill.rows[-1].usage
            self.attempts.append(span)


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """A request that ended. ended: seconds of `perf_counter`; ended_ns: the same of the epoch's nanoseconds."""

    record: RequestRecord
    ticket: Ticket
    trace: LiveTrace
    ended: float
    ended_ns: int


class SpanSink(Protocol):
    """Takes the requests that are to become spans."""

    def add(self, request: TracedRequest) -> None:
        """Take a request, whose spans are wanted if its trace is sampled. Never waits, never raises."""
        ...

    def lines(self) -> list[str]:
        """Return what became of the spans, in Prometheus's text format."""
        ...

    async def close(self) -> None:
        """Send what waits, for a few seconds at most. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Tracing:
    """Begins the traces of requests.

    Attributes:
        sink: takes the spans; None where none are made.
        share: of the traces that begin here, how many are sampled.
    """

    sink: SpanSink | None = None
    share: float = 1.0

    def begin(self, request: HttpRequest) -> LiveTrace | None:
        """Return a request's trace; None if nobody wants one."""
        parent = request.headers.get(b"traceparent")
        came = None if parent is None else read_trace(parent, request.headers.get(b"tracestate", b""))
        if self.sink is None:
            return None if came is None else LiveTrace(came, None, _operation(request))
        if came is None:
            trace_id = new_trace_id()
            own = TraceContext(trace_id, new_span_id(), int(int(trace_id[16:], 16) < self.share * _RANGE))
        else:
            own = came.below(new_span_id())
        return LiveTrace(came, own, _operation(request))

    def end(self, request: TracedRequest) -> None:
        """Hand a request on."""
        if self.sink is not None:
            self.sink.add(request)


def _operation(request: HttpRequest) -> str:
    return _OPERATIONS.get(request.path, "chat")


def told_trace(request: HttpRequest) -> TraceContext | None:
    """Return the client's trace of a request that is turned away."""
    parent = request.headers.get(b"traceparent")
    return None if parent is None else read_trace(parent)
