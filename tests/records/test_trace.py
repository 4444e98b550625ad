"""A trace's headers are read as W3C Trace Context says, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.records.trace import TraceContext, onward_lines, onward_trace, read_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"
HEX = "0123456789abcdef"


def test_a_valid_pair_of_headers_is_read() -> None:
    """Flags that nobody knows are left out, and a higher version may have more."""
    assert read_trace(GOOD.encode(), b"a=1,b=2") == TraceContext(TRACE, SPAN, 1, "a=1,b=2")
    assert read_trace(f"00-{TRACE}-{SPAN}-fe".encode()) == TraceContext(TRACE, SPAN, 2)
    assert read_trace(f"cc-{TRACE}-{SPAN}-01-what the future brings".encode()) == TraceContext(TRACE, SPAN, 1)


@pytest.mark.parametrize(
    "parent",
    [
        "", "00", GOOD.upper(), GOOD + "-", GOOD + "-more", GOOD + " ", " " + GOOD, GOOD + "\n", f"{GOOD},{GOOD}", f"ff{GOOD[2:]}",
        f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}-{SPAN}-01", f"00-{TRACE}-{SPAN}-1", f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g", f"cc-{TRACE}-{SPAN}-01more", f"cc-{TRACE}-{SPAN}-01-" + "x" * 1000, f"cc-{TRACE}-{SPAN}-01-\r\nx: y",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_none(parent: str) -> None:
    """It is as if it had not come."""
    assert read_trace(parent.encode(), b"a=1") is None


@pytest.mark.parametrize("state", ["", "x" * 513, "a=\r\nb: c", "a=\u00e9", "a=\x00"])
def test_a_state_that_is_not_valid_is_left_out(state: str) -> None:
    """The trace goes on without it."""
    assert read_trace(GOOD.encode(), state.encode()) == TraceContext(TRACE, SPAN, 1)


@given(st.binary(max_size=80) | st.text(HEX + "-", min_size=50, max_size=60).map(str.encode), st.binary(max_size=600))
def test_any_bytes_are_a_trace_of_the_form_or_none(parent: bytes, state: bytes) -> None:
    """What is sent on can always be a header."""
    trace = read_trace(parent, state)
    if trace is not None:
        assert set(trace.trace_id + trace.span_id) <= set(HEX)
        for name, value in trace.headers.items():
            assert (name + value).isascii()
            assert (name + value).isprintable()


@given(
    st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 3),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=512),
)
def test_what_is_written_is_read_the_same(trace_id: str, span_id: str, flags: int, state: str) -> None:
    """Trace, span, flags and state."""
    trace = TraceContext(trace_id, span_id, flags, state)
    headers = trace.headers
    assert read_trace(headers["traceparent"].encode(), headers.get("tracestate", "").encode()) == trace


def test_a_request_that_is_no_part_of_a_trace_has_no_such_lines() -> None:
    """Others have both, each after a line end."""
    assert onward_lines() == b""
    token = onward_trace.set(TraceContext(TRACE, SPAN, 1, "a=1"))
    assert onward_lines() == f"\r\ntraceparent: {GOOD}\r\ntracestate: a=1".encode()
    onward_trace.reset(token)
