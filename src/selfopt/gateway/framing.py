"""Finds the events in the bytes of a stream, however a server writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from selfopt.dialects.openai_edit import UNREADABLE

MAX_EVENT_BYTES = 262_144
MAX_WHOLE_BYTES = 4_194_304
"""A whole answer in place of a stream is kept up to so many bytes."""
_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_BLANKS = bytes.maketrans(b"\r\n", b"  ")
_END = rb"(?:\r\n|\n|\r(?!\n))"
_END_OF_EVENT = re.compile(_END + _END)
_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
_is_json = msgspec.json.Decoder(msgspec.Raw).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Frame(NamedTuple):
    """An event.

    Attributes:
        raw: its bytes as they came.
        body: its JSON; empty where it has none.
        head: its other lines.
        sound: whether clients find the event in these bytes.
    """

    raw: bytes
    body: bytes
    head: bytes = b""
    sound: bool = True

    def written(self, body: bytes) -> bytes:
        """Return the event with another JSON."""
        return b"%sdata: %s\n\n" % (self.head, body)


def ends_of_events(data: bytes, start: int) -> Iterator[int]:
    """Yield where events end, from `start` on."""
    if b"\r" in data:
        yield from (found.end() for found in _END_OF_EVENT.finditer(data, start))
        return
    while (at := data.find(b"\n\n", start)) >= 0:
        start = at + 2
        yield start


def frames_in(raw: bytes, *, ended: bool = True) -> list[Frame]:
    """Return the event in these bytes. They are several where a server leaves out the empty lines between them.

    ended: whether an empty line ends it; if not, it gets one.
    """
    if len(raw) > MAX_EVENT_BYTES:
        return [Frame(raw, b"")]
    if ended and raw.startswith(b"data:"):
        body = raw[5:].strip()
        if b"\n" not in body and b"\r" not in body:
            return [Frame(raw, body)]
    found: list[Frame] = []
    head, behind, bodies = b"", b"", list[bytes]()
    for line in _lines(raw.removeprefix(_BOM)):
        if not line.startswith(b"data:"):
            behind += line.rstrip(b"\r\n") + b"\n" if line.strip(b"\r\n") else b""
            continue
        if len(bodies) == 1 and _is_value(bodies[0]):
            found.append(_frame(head, bodies))
            head, bodies = b"", []
        head, behind = head + behind, b""
        bodies.append(line[5:].strip())
    head += behind
    if found or (bodies and not ended and (len(bodies) > 1 or _is_value(bodies[0]))):
        return [*found, _frame(head, bodies)]
    return [Frame(raw, b" ".join(bodies), head)]


def _frame(head: bytes, bodies: list[bytes]) -> Frame:
    return Frame(b"%s%s\n" % (head, b"".join(b"data: %s\n" % body for body in bodies)), b" ".join(bodies), head)


def _on_one_line(body: bytes) -> bytes:
    """JSON with blanks in place of line ends, which stand between its values only."""
    return body.translate(_BLANKS) if b"\n" in body or b"\r" in body else body


def _lines(raw: bytes) -> Iterator[bytes]:
    yield from (found.group() for found in _LINE.finditer(raw) if found.group())


def _is_value(body: bytes) -> bool:
    """Whether an event may end with this line: an object, or the mark of the end."""
    if body.upper() == _DONE:
        return True
    try:
        return body.startswith(b"{") and bool(_is_json(body))
    except UNREADABLE:
        return False


class Frames:
    """The events of one stream.

    A server may send a JSON value on each line, or one value, where events were asked for.

    Attributes:
        bare: whether it does.
    """

    def __init__(self) -> None:
        self.bare: bool | None = None  # until the first byte that is no space
        self._rest = b""
        self._more = bytearray()  # of a value that goes on behind the rest
        self._looked_at = 0
        self._crowds: bool | None = None  # whether the event that waits is whole with its first line
        self._whole = False  # one value on several lines

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes of the stream. Returns the events that they end."""
        alone = not self._rest and self.bare is False and data.startswith(b"data:") and b"\r" not in data
        if alone and data.find(b"\n\n") == len(data) - 2:
            return frames_in(data)  # most packets
        if self.bare and (self._whole or not (b"\n" in data or b"\r" in data)):
            self._more += data
            if len(self._rest) + len(self._more) <= MAX_WHOLE_BYTES:
                return []  # a long line is looked at once, when it ends
            data = b""
        rest = self.rest() + data
        if self.bare is None and not _BOM.startswith(rest) and (first := rest.removeprefix(_BOM).lstrip()[:1]):
            self.bare = first == b"{"
        found = self._values(rest) if self.bare else self._events(rest)
        if len(self._rest) > (MAX_WHOLE_BYTES if self.bare else MAX_EVENT_BYTES):
            found.append(Frame(self._rest, b""))  # too long for a chat: its parts pass as they come
            self._rest, self._looked_at, self.bare = b"", 0, False
        return found

    def end(self) -> list[Frame]:
        """Return what is left at the end of the stream."""
        rest = self.rest()
        if not rest:
            return []
        return [_value(rest)] if self.bare else frames_in(rest, ended=False)

    def rest(self) -> bytes:
        """Return what is left of a stream that broke off."""
        rest, self._rest, self._more = self._rest + self._more, b"", bytearray()
        return rest

    def _events(self, rest: bytes) -> list[Frame]:
        found, begin = list[Frame](), 0
        for end in ends_of_events(rest, self._looked_at):
            found += frames_in(rest[begin:end])
            begin = end
        if begin:
            self._looked_at, self._crowds, rest = 0, None, rest[begin:]
        if self._crowds is not False and max(rest.find(one, self._looked_at) for one in (b"\ndata:", b"\rdata:")) > 0:
            crowd, rest = self._crowd(rest)
            found += crowd
        self._rest, self._looked_at = rest, max(0, len(rest) - 6)
        return found

    def _crowd(self, rest: bytes) -> tuple[list[Frame], bytes]:
        """Find events without an empty line between them. The last one may go on."""
        last = max(rest.rfind(b"\ndata:"), rest.rfind(b"\rdata:")) + 1
        start = len(rest) - len(rest.removeprefix(_BOM))
        lines = [line for line in _LINE.finditer(rest, start, last) if line.group().startswith(b"data:")]
        if self._crowds is None and lines:
            self._crowds = _is_value(lines[0].group()[5:].strip())
        if not (self._crowds and lines):
            return [], rest
        end = lines[-1].end()
        return frames_in(rest[:end], ended=False), rest[end:]

    def _values(self, rest: bytes) -> list[Frame]:
        """Find the values of lines, if each stands on one."""
        found, begin = list[Frame](), 0
        for line in _LINE.finditer(rest) if not self._whole else ():
            if not line.group().endswith((b"\n", b"\r")):
                break
            frame = _value(line.group())
            self._whole = not frame.body and bool(frame.raw.strip())
            if self._whole:
                break
            found.append(frame)
            begin = line.end()
        self._rest = rest[begin:]
        return found


def _value(raw: bytes) -> Frame:
    body = _on_one_line(raw.removeprefix(_BOM).strip())
    try:
        known = bool(body)
        if known:
            _decode_fields(body)  # not into all that it holds: whoever reads it does that
    except UNREADABLE:
        known = False
    return Frame(raw, body if known else b"", sound=False)
