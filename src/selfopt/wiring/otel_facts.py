"""What spans and metrics say about a request, under the names of OpenTelemetry's GenAI conventions.

What these have no name for is below `selfopt.`. Nothing is content.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from selfopt.gateway import AttemptSpan, TracedRequest
from selfopt.home import escape_control

Value = str | bool | int | float | list[str]
Facts = dict[str, Value]
PROVIDER, OTHER = "selfopt", "other"
LONGEST = 256
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
TO_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
EACH_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
INSTRUMENTS = {
    "gen_ai.client.operation.duration": ("s", SECONDS, "Time of one request to a model's server."),
    "gen_ai.client.token.usage": ("{token}", TOKENS, "Tokens of one request to a model's server."),
    "gen_ai.server.request.duration": ("s", SECONDS, "Time of one request to the gateway."),
    "gen_ai.server.time_to_first_token": ("s", TO_FIRST, "Time to the first piece of a streamed answer."),
    "gen_ai.server.time_per_output_token": ("s", EACH_TOKEN, "Time for each further token of a streamed answer."),
}


@dataclass(frozen=True, slots=True)
class Here:
    """Where the gateway listens. port: 0 where it took a free one."""

    address: str
    port: int


def _text(text: str) -> str:
    """A name that a client may have chosen: short, on one line, and encodable."""
    return escape_control(text[:LONGEST], LONGEST).encode("utf-8", "replace").decode()


def _known(facts: Iterable[tuple[str, Value | None]]) -> Facts:
    """Leave out what is not known."""
    return {name: value for name, value in facts if value is not None and value != []}


@dataclass(frozen=True, slots=True)
class NamedModels:
    """The models that have names of their own, each under its one name."""

    known: Collection[str]
    one_name: Callable[[str], str] = str

    def label(self, model: str) -> str:
        """Return a model's name where there may be few: `other` for one that only a client uses."""
        name = self.one_name(model)
        return name if name in self.known else OTHER


def error_of(request: TracedRequest) -> str | None:
    """Return what went wrong, from a short list; None for an answered request."""
    record = request.record
    if record.outcome in ("cancelled", "refused"):
        return record.outcome
    return str(record.status) if record.status >= 400 else "broken_off" if record.outcome == "failed" else None


def request_facts(request: TracedRequest, here: Here) -> Facts:
    """The attributes of the gateway's own span."""
    record, ticket = request.record, request.ticket
    usage = ticket.bill.rows[-1].usage if ticket.bill.rows else None
    first = record.first_byte_ms if record.stream else None
    return _known(
        (
            ("gen_ai.operation.name", request.trace.operation),
            ("gen_ai.provider.name", PROVIDER),
            ("gen_ai.request.model", _text(record.model) or None),
            ("gen_ai.request.stream", record.stream),
            ("gen_ai.response.model", None if record.served is None else _text(record.served)),
            ("gen_ai.response.finish_reasons", [] if ticket.finish is None else [_text(ticket.finish)]),
            ("gen_ai.response.time_to_first_chunk", None if first is None else first / 1000),
            ("gen_ai.usage.input_tokens", record.input_tokens),
            ("gen_ai.usage.output_tokens", record.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", None if usage is None else usage.cached_tokens),
            ("server.address", here.address),
            ("server.port", here.port or None),
            ("http.response.status_code", record.status or None),
            ("error.type", error_of(request)),
            ("selfopt.request.id", record.id),
            ("selfopt.outcome", record.outcome),
            ("selfopt.phase", record.phase),
            ("selfopt.rule", record.rule),
            ("selfopt.rules.version", record.version),
            ("selfopt.variant", record.variant),
            ("selfopt.passed", ticket.passed),
            ("selfopt.fallback", ticket.fallback or None),
            ("selfopt.escalated", [str(reason) for reason in record.escalated]),
            ("selfopt.voided", record.voided),
            ("selfopt.confidence", ticket.confidence),
            ("selfopt.threshold", ticket.least),
            ("selfopt.cut", ticket.cut),
            ("selfopt.key", record.key),
            ("selfopt.cost", record.cost),
        )
    )


def attempt_facts(span: AttemptSpan, operation: str) -> Facts:
    """The attributes of the span of one attempt at a server."""
    facts, upstream, usage = span.facts, span.upstream, span.usage
    address = upstream.address
    return _known(
        (
            ("gen_ai.operation.name", operation),
            ("gen_ai.provider.name", upstream.provider or upstream.name),
            ("gen_ai.request.model", _text(upstream.server_model)),
            ("gen_ai.usage.input_tokens", None if usage is None else usage.input_tokens),
            ("gen_ai.usage.output_tokens", None if usage is None else usage.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", None if usage is None else usage.cached_tokens),
            ("server.address", None if address is None else address.host),
            ("server.port", None if address is None else address.port),
            ("error.type", (facts.fault or None) if facts is not None else None),
            ("selfopt.endpoint", upstream.name),
            ("selfopt.model", _text(upstream.model)),
            ("selfopt.escalated", [] if facts is None or not facts.escalated else [facts.escalated]),
            ("selfopt.confidence", None if facts is None else facts.confidence),
            ("selfopt.threshold", None if facts is None else facts.least),
        )
    )


_METERED = (
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "server.address",
    "server.port", "error.type",
)  # fmt: skip


def figures(request: TracedRequest, here: Here, names: NamedModels) -> Iterator[tuple[str, float, Facts]]:
    """Yield the figures of a request: instrument, value, and attributes with bounded names."""
    record = request.record
    mine = {name: value for name, value in request_facts(request, here).items() if name in _METERED}
    for name, model in (("gen_ai.request.model", record.model), ("gen_ai.response.model", record.served)):
        if name in mine:
            mine[name] = names.label(model or "")
    yield "gen_ai.server.request.duration", record.latency_ms / 1000, mine
    if record.stream and record.first_byte_ms is not None and record.status < 400:
        yield "gen_ai.server.time_to_first_token", record.first_byte_ms / 1000, mine
        if record.output_tokens is not None and record.output_tokens > 1:
            each_ms = max(0.0, record.latency_ms - record.first_byte_ms) / (record.output_tokens - 1)
            yield "gen_ai.server.time_per_output_token", each_ms / 1000, mine
    for span in request.trace.attempts:
        facts = attempt_facts(span, request.trace.operation)
        its = {name: value for name, value in facts.items() if name in _METERED}
        if names.label(span.upstream.model) == OTHER:
            its["gen_ai.request.model"] = OTHER
        yield "gen_ai.client.operation.duration", span.ended - span.began, its
        for kind in ("input", "output"):
            tokens = facts.get(f"gen_ai.usage.{kind}_tokens")
            if isinstance(tokens, int):
                yield "gen_ai.client.token.usage", tokens, {**its, "gen_ai.token.type": kind}
