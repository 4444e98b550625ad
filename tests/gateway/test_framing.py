"""Events are found in the bytes of a stream, and none of these is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.gateway.framing import MAX_EVENT_BYTES, MAX_WHOLE_BYTES, Frame, Frames
from tests.dialects.wild import CUTS, cut

BITS = st.sampled_from(
    [b'data: {"a":1}', b"data:{}", b"data: {", b"data: }", b"data: [DONE]", b"id: 1", b": x", b"\n", b"\r\n", b"\r", b"{", b"x", b"\xef\xbb\xbf"]
)  # fmt: skip


def framed(data: bytes, cuts: tuple[int, ...] = ()) -> tuple[list[Frame], Frames]:
    """The events of a stream."""
    frames = Frames()
    found = [frame for piece in cut(data, cuts) for frame in frames.feed(piece)]
    return [*found, *frames.end()], frames


def told(data: bytes, cuts: tuple[int, ...] = ()) -> list[bytes]:
    """The JSON of its events."""
    return [frame.body for frame in framed(data, cuts)[0] if frame.body]


@settings(deadline=None)
@given(data=st.lists(BITS, max_size=12).map(b"".join), cuts=CUTS)
def test_no_line_is_lost(data: bytes, cuts: tuple[int, ...]) -> None:
    """Whatever comes; only empty lines are added, and other lines of an event may go before its JSON."""
    frames, _ = framed(data, cuts)
    out = b"".join(frame.raw for frame in frames)
    lines = [[line for line in text.replace(b"\xef\xbb\xbf", b"").splitlines() if line.strip()] for text in (data, out)]
    came, told = (sorted(line.replace(b"data: ", b"data:").strip() for line in some) for some in lines)
    assert told == came


@settings(deadline=None)
@given(cuts=CUTS, end=st.sampled_from([b"\n", b"\r\n", b"\r"]), gap=st.booleans(), last=st.booleans())
def test_events_are_found_however_they_are_ended(cuts: tuple[int, ...], end: bytes, gap: bool, last: bool) -> None:
    """With an empty line between them or none, and with fields of their own."""
    one = [b"event: m", b"id: 1", b'data: {"n": 1}', b": still here"]
    lines = [*one, b"", *one, b"", b"data: [DONE]", b""] if gap else [*one, *one, b"data: [DONE]"]
    data = end.join(lines) + (end if last else b"")
    assert told(data, cuts) == [b'{"n": 1}', b'{"n": 1}', b"[DONE]"]


@pytest.mark.parametrize("data", [b'data: {"a":\ndata: 1}\n\n', b'\xef\xbb\xbfdata: {"a":\r\ndata: 1}\r\n\r\n'])
def test_an_event_on_several_lines_is_one(data: bytes) -> None:
    """Its bytes stay."""
    (frame,), _ = framed(data)
    assert (json.loads(frame.body), frame.raw) == ({"a": 1}, data)


@settings(deadline=None)
@given(cuts=CUTS)
def test_bare_values_are_found(cuts: tuple[int, ...]) -> None:
    """One on each line, or one on several."""
    assert told(b'{"a": 1}\n\n{"a": 2}\r\n{"a": 3}', cuts) == [b'{"a": 1}', b'{"a": 2}', b'{"a": 3}']
    frames, by = framed(b'\xef\xbb\xbf{\n "a": [\n1]}\n', cuts)
    assert [json.loads(frame.body) for frame in frames] == [{"a": [1]}]
    assert by.bare


def test_what_is_too_long_passes_as_it_comes() -> None:
    """An event, or a value in place of events."""
    for begin, most in ((b"data: ", MAX_EVENT_BYTES), (b"{", MAX_WHOLE_BYTES)):
        frames = Frames()
        data, out, waits = begin + b"x" * (most + 65_536), b"", 0
        for at in range(0, len(data), 65_536):
            out += b"".join(frame.raw for frame in frames.feed(data[at : at + 65_536]))
            waits = max(waits, at + 65_536 - len(out))
        assert waits <= most + 65_536
        assert out + frames.rest() == data
