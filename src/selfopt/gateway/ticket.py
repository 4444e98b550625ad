"""One request on its way: what is to be said of it at the end."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import msgspec

from selfopt.home import AuditEvent
from selfopt.records import RouteDecision
from selfopt.routing import event_of

_writer = os.urandom(5).hex()
_counter = 0


def this_writer() -> str:
    """This process among all that write requests; what the ids of its requests begin with."""
    return _writer


def _begin_anew() -> None:
    global _writer, _counter
    _writer, _counter = os.urandom(5).hex(), 0


# Workers are forked: two of one name would write into one file.
os.register_at_fork(after_in_child=_begin_anew)


def new_request_id() -> str:
    """`req-` and 24 hex digits: random ones of the process, then a count."""
    global _counter  # noqa: PLW0603  one process, one count
    _counter += 1
    return f"req-{_writer}{_counter:014x}"


def given_here(request_id: str) -> bool:
    """Whether this process gave that id to a request. request_id: `req-` and 24 hex digits."""
    return request_id.startswith(f"req-{_writer}") and 1 <= int(request_id[-14:], 16) <= _counter


class LiveAttempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt at one model. fault: empty for the one that served; ms: how long it took."""

    model: str
    ms: float
    fault: str = ""


class RequestRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="request"):
    """The decision about one request and what became of it; never its content. Times in milliseconds.

    outcome: `served`, `diverted`, `refused` (by the rules), `rejected` (the request itself is at fault), `failed`, `cancelled`
    (the client left). rule: its id; version: of the rules that it saw.
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


class FeedbackRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="feedback"):
    """What became of an earlier request. score: 0 to 1; comment: as it was given; key: the id of the teller's."""

    at: str
    id: str
    success: bool | None
    score: float | None
    comment: str
    key: str | None


JournalRecord = RequestRecord | FeedbackRecord


@dataclass(slots=True)
class Ticket:
    """What is known of a request while it is served. Times are seconds of `perf_counter`."""

    began: float
    id: str = field(default_factory=new_request_id)
    model: str = ""
    phase: str | None = None
    decision: RouteDecision | None = None
    version: int = 0
    served: str | None = None
    fallback: str = ""
    variant: str | None = None
    key: str | None = None
    stream: bool = False
    attempts: list[LiveAttempt] = field(default_factory=list)
    first_byte: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    outcome: str = "failed"
    reason: str = ""

    def record(self, at: str, now: float, status: int) -> RequestRecord:
        """The record of it."""
        rule = self.decision.rule if self.decision is not None else None
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
            reason=self.reason,
        )

    def headers(self) -> list[bytes]:
        """What every answer says of itself."""
        lines = [b"x-request-id: %s" % self.id.encode(), b"x-selfopt-config-version: %d" % self.version]
        if self.served is not None:
            lines.append(b"x-selfopt-model: %s" % header_value(self.served))
        if self.decision is not None:
            lines.append(b"x-selfopt-phase: %s" % self.decision.phase.encode())
            if self.decision.rule is not None:
                lines.append(b"x-selfopt-rule: %s" % header_value(self.decision.rule.rule_id))
        if self.fallback:
            lines.append(b"x-selfopt-fallback: %s" % self.fallback.encode())
        if self.variant is not None:
            lines.append(b"x-selfopt-variant: %s" % header_value(self.variant))
        return lines

    def audit_event(self, decision: RouteDecision) -> AuditEvent:
        """What the audit trail says of it when it was diverted or refused, with the attempts made until now."""
        event = event_of(decision)
        assert event is not None
        attempts = [msgspec.to_builtins(a) for a in self.attempts]
        details = {**event.fields.get("details", {}), "request_id": self.id, "attempts": attempts, "stream": self.stream}
        return replace(event, fields={**event.fields, "details": details})


def header_value(text: str) -> bytes:
    """A name as a header's value: what could end a header or is no ASCII is written as %xx."""
    if text.isascii() and text.isprintable() and "%" not in text:
        return text.encode()
    return b"".join(b"%c" % b if 0x20 < b < 0x7F and b != 0x25 else b"%%%02x" % b for b in text.encode("utf-8", "replace"))
