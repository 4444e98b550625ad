"""Removes a key that is spread over the events of a stream: models write a few characters a piece.

Events are passed on unchanged. An event waits only if its text may begin a key, and is rewritten
only if it held a part of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from selfopt.dialects.openai_edit import UNREADABLE
from selfopt.home import SHORTEST_SECRET

from .framing import MAX_EVENT_BYTES, Frame, ends_of_events, frames_in

REDACTED = "[key]"
SHORTEST_BEGINNING = 3
"""An event waits once so many characters of a key have come. Fewer begin many words."""
MAX_WAITING = 4096
MAX_TEXTS = 256

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
Place = tuple[str, ...]


class _Event:
    """One event. body: its JSON, None if it has none; changed: it has to be rewritten."""

    __slots__ = ("_frame", "body", "changed")

    def __init__(self, raw: bytes) -> None:
        frames = frames_in(raw)
        self._frame = frames[0] if len(frames) == 1 else Frame(raw, b"")
        self.changed = False
        self.body: Any = None
        if self._frame.body:
            try:
                self.body = _decode(self._frame.body)
            except UNREADABLE:
                self.body = None

    def written(self) -> bytes:
        """Return the event as it came, or without the key."""
        return self._frame.written(_encode(self.body)) if self.changed else self._frame.raw


class _Text:
    """One text of the answer.

    Attributes:
        end: its last characters, as far as they begin a key.
        parts: the events that wait for that reason, oldest first: the event, the object and the
            name that hold its part of the text, and the number of characters in it.
    """

    __slots__ = ("end", "parts")

    def __init__(self) -> None:
        self.end = ""
        self.parts: list[tuple[_Event, dict[str, Any], str, int]] = []


class DeltaRedactor:
    """Removes a key from the texts that a chat stream adds up to, unless it is too short."""

    def __init__(self, key: str | None) -> None:
        self._key = key if key is not None and len(key) >= SHORTEST_SECRET else ""
        self._rest = b""
        self._texts: dict[Place, _Text] = {}
        self._room = MAX_TEXTS
        self._begun: set[_Text] = set()
        self._waiting: list[_Event] = []

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the stream; return what can be passed on."""
        if not self._key:
            return data
        looked_at = max(0, len(self._rest) - 3)
        self._rest += data
        out, begin = [], 0
        for end in ends_of_events(self._rest, looked_at):
            out.append(self._take(_Event(self._rest[begin:end])))
            begin = end
        self._rest = self._rest[begin:]
        if len(self._rest) > MAX_EVENT_BYTES:  # too long for a chat's event
            out.append(self.end())
        return b"".join(out)

    def end(self) -> bytes:
        """Return what waits, at the end of the stream."""
        waiting = self._let_go()
        self._texts = {}
        rest, self._rest = self._rest, b""
        return waiting + rest

    def _take(self, event: _Event) -> bytes:
        for place, holder, name in _texts_of(event.body):
            text = self._texts.get(place)
            if text is None:
                if len(self._texts) >= self._room:
                    self._texts = {known: text for known, text in self._texts.items() if text.parts}
                    self._room = max(MAX_TEXTS, 2 * len(self._texts))  # doubled, so that the time stays linear
                text = self._texts[place] = _Text()
            self._add(text, event, holder, name)
        self._waiting.append(event)
        if len(self._waiting) < MAX_WAITING and self._begun:
            return b""
        return self._let_go()

    def _let_go(self) -> bytes:
        for text in self._begun:
            text.parts.clear()
        self._begun.clear()
        waiting, self._waiting = self._waiting, []
        return b"".join(event.written() for event in waiting)

    def _add(self, text: _Text, event: _Event, holder: dict[str, Any], name: str) -> None:
        piece, before = holder[name], len(text.end)
        text.end += piece
        text.parts.append((event, holder, name, len(piece)))
        if (at := text.end.find(self._key, 0, before + len(self._key) - 1)) >= 0:
            self._cut(text, at)
            piece = holder[name]
        if self._key in piece:
            clean = holder[name] = piece.replace(self._key, REDACTED)
            text.parts[-1] = (event, holder, name, len(clean))
            text.end = text.end[: len(text.end) - len(piece)] + clean
            event.changed = True
        begun = self._beginning(text.end)
        text.end = text.end[len(text.end) - begun :]
        waits = begun if begun >= SHORTEST_BEGINNING else 0
        while text.parts and sum(part[3] for part in text.parts[1:]) >= waits:
            del text.parts[0]
        if text.parts:
            self._begun.add(text)
        else:
            self._begun.discard(text)

    def _beginning(self, text: str) -> int:
        """Return how many characters at the end begin the key."""
        if text[-1:] not in self._key:
            return 0
        for size in range(min(len(self._key) - 1, len(text)), 0, -1):
            if self._key.startswith(text[-size:]):
                return size
        return 0

    def _cut(self, text: _Text, at: int) -> None:
        """Replace the key by a mark, event by event."""
        start, end = at, at + len(self._key)
        begin = len(text.end) - sum(part[3] for part in text.parts)
        mark, parts = REDACTED, []
        for event, holder, name, size in text.parts:
            own = holder[name]
            first, last = max(start - begin, 0), min(end - begin, size)
            if first < last:
                holder[name] = own[:first] + mark + own[last:]
                mark, event.changed = "", True
            parts.append((event, holder, name, len(holder[name])))
            begin += size
        text.parts = parts
        text.end = text.end[:at] + REDACTED + text.end[end:]


class DeltaRedactors:
    """Removes several secrets from the texts that a chat stream adds up to."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._each = [DeltaRedactor(secret) for secret in secrets if len(secret) >= SHORTEST_SECRET]

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the stream; return what can be passed on."""
        for one in self._each:
            data = one.feed(data)
        return data

    def end(self) -> bytes:
        """Return what waits, at the end of the stream."""
        waiting = b""
        for one in self._each:
            waiting = one.feed(waiting) + one.end()
        return waiting


def _texts_of(body: Any) -> Iterator[tuple[Place, dict[str, Any], str]]:
    """Yield each piece of text in an event, unless it is empty: its place, the object that holds it, and its name."""
    if not isinstance(body, dict):
        return
    choices = body.get("choices")
    if choices is None:
        yield from _texts_of_delta(body)
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        number, said, delta = str(choice.get("index")), choice.get("text"), choice.get("delta")
        if isinstance(said, str) and said:  # of a completion
            yield (number, "text"), choice, "text"
        if not isinstance(delta, dict):
            continue
        for name, value in delta.items():
            if isinstance(value, str) and value and name != "role":
                yield (number, name), delta, name
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                call_number = str(call.get("index", place))
                for name, value in function.items():
                    if isinstance(value, str) and value:
                        yield (number, "tool_calls", call_number, name), function, name


def _texts_of_delta(body: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any], str]]:
    """The same in an event of Anthropic's Messages, which adds to one block, or of the Responses API."""
    delta, number = body.get("delta"), str(body.get("index"))
    if isinstance(delta, str) and delta:
        yield (str(body.get("type")), str(body.get("item_id")), str(body.get("output_index"))), body, "delta"
    if not isinstance(delta, dict):
        return
    for name, value in delta.items():
        if isinstance(value, str) and value and name != "type":
            yield (number, name), delta, name
