"""Which trace a request belongs to (W3C Trace Context), and who is told of it."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass

LONGEST_STATE = 512
_PARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?")
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span, as who goes on with its trace has to know it.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        flags: 1 if the trace is sampled.
        state: what systems that take part noted for themselves.
    """

    trace_id: str
    span_id: str
    flags: int = 1
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether its spans are wanted."""
        return bool(self.flags & 1)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request that goes on with the trace."""
        parent = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"}
        return {**parent, "tracestate": self.state} if self.state else parent


def read_trace(parent: bytes, state: bytes = b"") -> TraceContext | None:
    """Return what the headers `traceparent` and `tracestate` say; None if the first is not valid.

    A state that is not valid or longer than 512 bytes is left out.
    """
    found = _PARENT.fullmatch(parent) if len(parent) <= LONGEST_STATE else None
    if found is None or (found[4] and parent.startswith(b"00")):
        return None
    kept = state.decode() if _STATE.fullmatch(state) else ""
    return TraceContext(found[1].decode(), found[2].decode(), int(found[3], 16) & 3, kept)


present_trace: ContextVar[TraceContext | None] = ContextVar("present_trace", default=None)
"""What a message that is logged now is about."""
onward_trace: ContextVar[TraceContext | None] = ContextVar("onward_trace", default=None)
"""What a request that is sent now is part of; None where its server is not to know."""


def onward_lines() -> bytes:
    """Return the lines that go to the server, each after a line end; empty where it is not to know."""
    trace = onward_trace.get()
    return b"" if trace is None else "".join(f"\r\n{name}: {value}" for name, value in trace.headers.items()).encode()
