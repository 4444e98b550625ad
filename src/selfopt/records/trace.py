"""Which trace a request belongs to (W3C Trace Context), and who is told of it."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar

import msgspec

LONGEST_STATE = 512
_PARENT = re.compile("([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_STATE = re.compile(rb"[\x20-\x7e]{1,512}")


class TraceContext(msgspec.Struct, frozen=True):
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

    def below(self, span_id: str) -> TraceContext:
        """Return another span of the same trace."""
        return TraceContext(self.trace_id, span_id, self.flags, self.state)

    @property
    def parent(self) -> str:
        """The value of the header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request that goes on with the trace."""
        parent = {"traceparent": self.parent}
        return {**parent, "tracestate": self.state} if self.state else parent


def read_trace(parent: bytes, state: bytes = b"") -> TraceContext | None:
    """Return what the headers `traceparent` and `tracestate` say; None if the first is not valid.

    A state that is not valid or longer than 512 bytes is left out.
    """
    found = _PARENT.fullmatch(parent.decode("latin-1")) if len(parent) <= LONGEST_STATE else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (more and version == "00") or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & 3, state.decode() if state and _STATE.fullmatch(state) else "")


def new_trace_id() -> str:
    """Return 32 hex digits. Forked processes give out different ones."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    """Return 16 hex digits; likewise."""
    return f"{random.getrandbits(64) or 1:016x}"


present_trace: ContextVar[TraceContext | None] = ContextVar("present_trace", default=None)
"""What a message that is logged now is about."""
onward_trace: ContextVar[TraceContext | None] = ContextVar("onward_trace", default=None)
"""What a request that is sent now is part of; None where its server is not to know."""


def onward_lines() -> bytes:
    """Return the lines that go to the server, each after a line end; empty where it is not to know."""
    trace = onward_trace.get()
    if trace is None:
        return b""
    state = f"\r\ntracestate: {trace.state}" if trace.state else ""
    return f"\r\ntraceparent: {trace.parent}{state}".encode()
