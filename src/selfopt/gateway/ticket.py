"""What is noted about a request while it is served, and the records made from it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from selfopt.dialects.clients import PassReason
from selfopt.dialects.routes import Route
from selfopt.home import AuditEvent
from selfopt.records import RouteDecision, VoidedBy
from selfopt.routing import event_of

from .allowances import Reserved
from .costs import Bill
from .cutting import Cut
from .escalation import Escalating, EscalationReason
from .tracing import LiveTrace

Unmet = Literal["tool_choice", "logprobs", "store"]
Read = Literal["text", "mended"]
ToolsBy = Literal["meaning", "words"]
Raced = Literal["cancelled", "used", "failed"]
OUTRUN = "outrun"
"""Stands for the fault of a model that was asked at the same time as a smaller one, which then was sure."""
_writer = os.urandom(5).hex()
_counter = 0


def this_writer() -> str:
    """Return the name of this process. It names its files, and its request ids begin with it."""
    return _writer


def _begin_anew() -> None:
    global _writer, _counter
    _writer, _counter = os.urandom(5).hex(), 0


# Workers are forked. Two of the same name would write into one file.
os.register_at_fork(after_in_child=_begin_anew)


def new_request_id() -> str:
    """Return `req-` and 24 hex digits: 10 random ones of this process, then a count."""
    global _counter  # noqa: PLW0603  one process, one count
    _counter += 1
    return f"req-{_writer}{_counter:014x}"


def given_here(request_id: str) -> bool:
    """Say whether this process gave out that id. request_id: `req-` and 24 hex digits."""
    return request_id.startswith(f"req-{_writer}") and 1 <= int(request_id[-14:], 16) <= _counter


class LiveAttempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt at one model.

    Attributes:
        fault: empty for the one that served, and for an answer that was not sure enough; `outrun` where
            the answer of a model that was asked at the same time was.
        confidence: of its answer, where the rule asks for one; None where nothing tells it.
        least: the confidence from which on the rule serves.
        escalated: why a stronger model had to answer.
        input_tokens, output_tokens: of an answer that was not served.
        second: the variant of the second way of asking, where its calls were only compared with the
            answer of the attempt before.
        agrees: whether they were the same; None where that is not known.
    """

    model: str
    ms: float
    fault: str = ""
    confidence: float | None = None
    least: float | None = None
    escalated: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    second: str = ""
    agrees: bool | None = None


class RequestRecord(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="request"):
    """The decision about one request and what became of it; never its content.

    Attributes:
        outcome: `served`, `diverted`, `refused` (by the rules), `rejected` (the request itself is
            at fault), `failed` or `cancelled` (the client left).
        model: as the client asked for it.
        rule: id of the rule that applied.
        version: of the rules in force.
        key: id of the client's key.
        escalated: why a stronger model had to answer, the first reason first; left out without one.
        voided: why a threshold does not hold any more, where that is the reason.
        cost: of all attempts, by the prices of the settings; left out where it is not known.
        cost_alone: what the rule's stronger model alone would have cost: an estimate, unless it served.
        route: the route beside chats that it came on; left out for a chat.
        trace_id, span_id: the gateway's span, or the client's where the gateway makes none; left out without a trace.
        charged: what counted against the budget of the key where the cost is not known: an estimate.
    """

    at: str
    id: str
    outcome: str
    status: int
    model: str
    served: str | None
    phase: str | None
    rule: str | None
    version: int
    variant: str | None
    key: str | None
    stream: bool
    attempts: tuple[LiveAttempt, ...]
    latency_ms: float
    first_byte_ms: float | None
    input_tokens: int | None
    output_tokens: int | None
    reason: str
    escalated: tuple[EscalationReason, ...] = ()
    voided: VoidedBy | None = None
    cost: float | None = None
    cost_alone: float | None = None
    route: Route | None = None
    trace_id: str | None = None
    span_id: str | None = None
    charged: float | None = None


class FeedbackRecord(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="feedback"):
    """What a client says became of an earlier request.

    Attributes:
        score: 0 to 1.
        key: id of the client's key.
        rule: the rule by whose threshold the request was served, where the outcome counts for it.
    """

    at: str
    id: str
    success: bool | None
    score: float | None
    comment: str
    key: str | None
    rule: str | None = None


JournalRecord = RequestRecord | FeedbackRecord


@dataclass(slots=True)
class Ticket:
    """What is known about a request while it is served.

    Attributes:
        began, first_byte: seconds of `perf_counter`.
        fallback: why another model than the one asked for serves; empty where none does.
        version: of the rules in force.
        route: the route beside chats that it came on; None for a chat.
        mended_calls: calls that the server reported damaged, and that were mended.
        read_calls: calls that were read from the text of a reply that no variant asked for.
        unmet: the field of the request that the answer does not follow; None where it follows all.
        passed: why the request went past the rule's variant.
        kept: the client's fields in whose place the variant keeps its own.
        cut: why the reply was ended early; None where it was not.
        passed_calls: calls that the server reported, and that were passed on as they came.
        tools_by: what chose the tools that the model was shown, where the variant asks an embedding model.
        unsure: replies whose calls were withheld, because the model was not sure of them.
        unobserved: attempts whose replies had no log probabilities, on which the rule's variant rests.
        confidence: of the answer that was judged last; None where nothing tells it.
        least: the confidence that its rule asks for; None where none was judged.
        judged: whether the current attempt's answer was.
        escalated: why a stronger model had to answer, in order.
        voided: why a threshold does not hold any more, where a stronger model had to answer for that.
        below: whether the answer was served though it is not sure enough, as the settings want.
        raced: what became of a stronger model that was asked at the same time.
        compared: the attempt in the second way, while the one that it is compared with is not over.
        trace: which the request belongs to; None without one.
        finish: why the model ended its answer, as far as somebody looked.
        bill: what the attempts used. A copy of the ticket begins with one of its own.
        tells_cost: says what the request cost so far, where its client wants to hear it.
        held: what they were expected to use; copies share it.
    """

    began: float
    id: str = field(default_factory=new_request_id)
    model: str = ""
    phase: str | None = None
    route: Route | None = None
    decision: RouteDecision | None = None
    version: int = 0
    served: str | None = None
    fallback: str = ""
    variant: str | None = None
    passed: PassReason | None = None
    kept: tuple[str, ...] = ()
    key: str | None = None
    stream: bool = False
    attempts: list[LiveAttempt] = field(default_factory=list)
    first_byte: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    mended_calls: int = 0
    passed_calls: int = 0
    read_calls: int = 0
    tools_by: ToolsBy | None = None
    unsure: int = 0
    unobserved: int = 0
    unmet: Unmet | None = None
    cut: Cut | None = None
    confidence: float | None = None
    least: float | None = None
    judged: bool = False
    escalated: list[EscalationReason] = field(default_factory=list)
    voided: VoidedBy | None = None
    below: bool = False
    raced: Raced | None = None
    outcome: str = "failed"
    reason: str = ""
    compared: LiveAttempt | None = None
    trace: LiveTrace | None = None
    finish: str | None = None
    bill: Bill = field(default_factory=Bill, init=False)
    tells_cost: Callable[[Ticket], bytes] | None = None
    held: Reserved = field(default_factory=Reserved)

    @property
    def read(self) -> Read | None:
        """How calls came about that the server did not report so; None if there are none."""
        return "text" if self.read_calls else "mended" if self.mended_calls else None

    def begin_attempt(self) -> None:
        """Forget what an attempt said about the answer that it did not give."""
        self.variant, self.passed, self.kept, self.unmet, self.cut = None, None, (), None, None
        self.mended_calls = self.passed_calls = self.read_calls = 0
        self.judged, self.tools_by = False, None
        self.compared = None

    def judge(self, confidence: float | None, least: float) -> None:
        """Note how sure the attempt's answer is, and how sure it has to be."""
        self.confidence, self.least, self.judged = confidence, least, True

    def end_attempt(self, model: str, ms: float, fault: str, doubt: Escalating | None = None) -> None:
        """Note what became of an attempt."""
        usage = doubt.held.usage if doubt is not None and doubt.held is not None else None
        compared = self.compared
        self.attempts.append(
            LiveAttempt(
                model,
                round(ms if compared is None else max(0.0, ms - compared.ms), 3),
                fault,
                self.confidence if self.judged else None,
                self.least if self.judged else None,
                doubt.because if doubt is not None else "",
                usage.input_tokens if usage is not None else None,
                usage.output_tokens if usage is not None else None,
            )
        )
        if compared is not None:
            self.attempts.append(compared)
            self.compared = None

    def record(self, at: str, now: float, status: int) -> RequestRecord:
        """Return the record for the journal. now: `perf_counter` at the end."""
        rule = self.decision.rule if self.decision is not None else None
        trace = None if self.trace is None else self.trace.told
        return RequestRecord(
            at=at,
            id=self.id,
            outcome=self.outcome,
            status=status,
            model=self.model,
            served=self.served,
            phase=self.phase,
            rule=rule.rule_id if rule is not None else None,
            version=self.version,
            variant=self.variant,
            key=self.key,
            stream=self.stream,
            attempts=tuple(self.attempts),
            latency_ms=round((now - self.began) * 1000, 3),
            first_byte_ms=round((self.first_byte - self.began) * 1000, 3) if self.first_byte else None,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            reason=self.reason or (f"cut: {self.cut}" if self.cut else ""),
            escalated=tuple(self.escalated),
            voided=self.voided,
            route=self.route,
            trace_id=None if trace is None else trace.trace_id,
            span_id=None if trace is None else trace.span_id,
        )

    def headers(self) -> list[bytes]:
        """Return the headers that every answer carries."""
        lines = [b"x-request-id: %s" % self.id.encode(), b"x-selfopt-config-version: %d" % self.version]
        if self.served is not None:
            lines.append(b"x-selfopt-model: %s" % header_value(self.served))
        if self.decision is not None:
            if self.route is None:
                lines.append(b"x-selfopt-phase: %s" % self.decision.phase.encode())
            if self.decision.rule is not None:
                lines.append(b"x-selfopt-rule: %s" % header_value(self.decision.rule.rule_id))
        if self.fallback:
            lines.append(b"x-selfopt-fallback: %s" % self.fallback.encode())
        if self.variant is not None:
            lines.append(b"x-selfopt-variant: %s" % header_value(self.variant))
        if self.read is not None:
            lines.append(b"x-selfopt-read: %s" % self.read.encode())
        if self.passed is not None:
            lines.append(b"x-selfopt-passed: %s" % self.passed.encode())
        for name, said in ((b"tools-by", self.tools_by), (b"unmet", self.unmet), (b"cut", self.cut)):
            if said is not None:
                lines.append(b"x-selfopt-%s: %s" % (name, said.encode()))
        if self.kept:
            lines.append(b"x-selfopt-kept: %s" % ", ".join(self.kept).encode())
        if self.confidence is not None:
            lines.append(b"x-selfopt-confidence: %.4f" % (math.floor(self.confidence * 10_000 + 1e-6) / 10_000))
        if self.escalated:
            lines.append(b"x-selfopt-escalated: %s" % self.escalated[-1].encode())
        lines += () if self.tells_cost is None else (b"x-selfopt-cost: %s" % self.tells_cost(self),)
        return lines

    def audit_event(self, decision: RouteDecision) -> AuditEvent:
        """Return the audit record of a diversion or refusal, with the attempts made so far."""
        event = event_of(decision)
        assert event is not None
        attempts = [msgspec.to_builtins(a) for a in self.attempts]
        details = {**event.fields.get("details", {}), "request_id": self.id, "attempts": attempts, "stream": self.stream}
        return replace(event, fields={**event.fields, "details": details})


def header_value(text: str) -> bytes:
    """Return a name as a header value; `%`, non-ASCII and control characters become %xx."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text.encode()
    return b"".join(b"%c" % b if 0x20 < b < 0x7F and b != 0x25 else b"%%%02x" % b for b in text.encode("utf-8", "replace"))
