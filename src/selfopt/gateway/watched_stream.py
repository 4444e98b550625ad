"""Reads the calls in a stream that is passed on. An event waits only while its text can still become a call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from selfopt.dialects.openai_edit import (
    MAX_CHOICES,
    PieceChoice,
    SaidPart,
    call_pieces,
    finished_by_calls,
    offered_name,
    only_delta,
    read_piece,
    with_function,
    with_text,
    written,
)
from selfopt.reading.held import HeldText
from selfopt.reading.within import CallsWithin

from .bounded import beside
from .deltas import MAX_EVENT_BYTES, ends_of_events
from .offered import OfferedTools
from .reported_call import ReportedCall

DOUBT_S = 2.0
"""An event waits so long while nothing shows that a call begins in it."""
CALL_S = 60.0
"""An event waits so long while what was written is the beginning of a call."""
MAX_WAITING_BYTES = 2_097_152
MAX_CALLS = 1024  # of one choice
READ_AT_ONCE = 8192
"""The longest text that is read when its choice ends; a longer one is read when the stream ends."""


class _Choice:
    """One choice.

    Attributes:
        held: its text.
        gone: how many characters of it went out.
        kept: how many of them the client gets in all; None for all that come.
        native: whether the server itself reports calls.
        over: whether it has ended; settled: whether it was read then.
        told: its calls, as events.
        body: an event of it.
        reported: the calls that the server reports, by their index.
    """

    __slots__ = ("body", "cut", "gone", "held", "index", "kept", "native", "over", "reported", "settled", "told")

    def __init__(self, index: int, held: HeldText) -> None:
        self.index, self.held = index, held
        self.gone = 0
        self.kept: int | None = None
        self.native = self.over = self.settled = self.cut = False
        self.told: list[bytes] = []
        self.reported: dict[int, ReportedCall] = {}
        self.body = b""

    def end(self, *, cut: bool) -> None:
        """Note that it ended. cut: by the token limit."""
        self.over, self.cut = True, cut


class _Event:
    """An event that waits.

    Attributes:
        at: when it came.
        body: its JSON; empty where it has none.
        texts: what it adds to choices: the choice, its place, the text, and where that ends.
        pieces: what it adds to reported calls: the call, the places of choice and call, the arguments, and where they end.
        rests: what mends a reported call that ends in it, by the place of its last piece in `pieces`.
        names: the names of calls that are changed: the places of choice and call, and the tool's own name.
        before: what goes out before it.
        ends: the choices that end with it, and their places; None where it does not name them.
    """

    __slots__ = ("at", "before", "body", "ends", "names", "pieces", "raw", "rests", "texts")

    def __init__(self, raw: bytes, body: bytes, at: float) -> None:
        self.raw, self.body, self.at = raw, body, at
        self.texts: list[tuple[_Choice, int, str, int]] = []
        self.pieces: list[tuple[ReportedCall, int, int, str, int]] = []
        self.rests: dict[int, str] = {}
        self.names: list[tuple[int, int, str]] = []
        self.before: list[bytes] = []
        self.ends: list[tuple[_Choice, int | None]] = []

    @property
    def free(self) -> bool:
        """Whether it may go out."""
        return (
            all(end <= choice.held.passed for choice, _, _, end in self.texts)
            and all(end <= call.passed for call, _, _, _, end in self.pieces)
            and all(one.settled for one, _ in self.ends)
        )

    def written(self) -> bytes:
        """Return it as it came, or without the text of calls and with the calls."""
        body: bytes | None = self.body
        for choice, at, text, end in self.texts:
            choice.gone = end
            if choice.kept is not None and choice.kept < end and body is not None:
                body = with_text(body, at, text[: max(0, choice.kept - end + len(text))])
        for number, (call, at, one, arguments, end) in enumerate(self.pieces):
            if call.kept is not None and (call.kept < end or number in self.rests) and body is not None:
                kept = arguments[: max(0, call.kept - end + len(arguments))]
                body = with_function(body, at, one, {"arguments": kept + self.rests.get(number, "")})
        for at, one, name in self.names:
            body = with_function(body, at, one, {"name": name}) if body is not None else None
        calls = b"".join(b"data: %s\n\n" % one for one in self.before)
        for choice, place in self.ends:
            told = choice.told
            if told and place is None:
                told = [*told, only_delta(choice.body, choice.index, {}, "tool_calls")]
            elif told and body is not None:
                body = finished_by_calls(body, place or 0)
            calls += b"".join(b"data: %s\n\n" % one for one in told)
        own = self.raw if body is self.body else b"data: %s\n\n" % body if body is not None else b""
        return calls + own


class WatchedStream:
    """The events of one stream.

    Attributes:
        read: how many calls were read from text.
        mended: how many calls that the server reported were mended.
    """

    def __init__(self, offered: OfferedTools, ids: str, now: Callable[[], float]) -> None:
        """ids: the beginning of the ids of calls; now: tells the time in seconds."""
        self._offered, self._ids, self._now = offered, ids, now
        self._rest = b""
        self._looked_at = 0
        self._queue: deque[_Event] = deque()
        self._waiting_bytes = 0
        self._choices: dict[int, _Choice] = {}
        self.read = self.mended = 0

    @property
    def due(self) -> float | None:
        """When what waits goes out all the same; None if nothing waits for its text."""
        if not self._queue or all(choice.over for choice in self._choices.values()):
            return None
        calling = any(choice.held.calling or choice.native for choice in self._choices.values())
        return self._queue[0].at + (CALL_S if calling else DOUBT_S)

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the stream; return what can be passed on."""
        rest = self._rest + data if self._rest else data
        out, begin = [], 0
        for end in ends_of_events(rest, self._looked_at):
            out.append(self._take(rest[begin:end]))
            begin = end
        rest = rest[begin:]
        if len(rest) > MAX_EVENT_BYTES:  # too long for a chat's event: its parts pass as they come
            out += [self.let_go(), self._queued(_Event(rest, b"", self._now()))]
            rest = b""
        self._rest, self._looked_at = rest, max(0, len(rest) - 3)
        return b"".join(out)

    def let_go(self) -> bytes:
        """Return all that waits for its text: it took too long, or the stream broke off."""
        for choice in self._choices.values():
            choice.held.let_go()
            for call in choice.reported.values():
                call.let_go()
        return self._released()

    def broken_off(self) -> bytes:
        """Return all that waits in a stream that did not come to its end."""
        for choice in self._choices.values():
            choice.over = choice.settled = True
        rest, self._rest = self._rest, b""
        return self.let_go() + rest

    async def end(self) -> bytes:
        """Return what waits at the end of a complete stream."""
        out, rest = b"", self._rest
        self._rest = b""
        if rest:
            out = self._take(rest)
        if any(not choice.over for choice in self._choices.values()):
            out += self._queued(self._end_of_all(_Event(b"", b"", self._now())))
        for choice in self._choices.values():
            if not choice.settled:
                self._settle(choice, await beside(choice.held.size, choice.held.read, cut=choice.cut))
        return out + self._released()

    def _take(self, raw: bytes) -> bytes:
        """Take an event, and return what can be passed on."""
        body = raw[5:].strip() if raw.startswith(b"data:") and len(raw) <= MAX_EVENT_BYTES else b""
        try:
            pieces = read_piece(body).choices if body else []
        except (msgspec.DecodeError, RecursionError):
            return self._opaque(raw, done=body == b"[DONE]")
        event: _Event | None = None
        for place, piece in enumerate(pieces[:MAX_CHOICES]):
            choice = self._choice(piece)
            if choice is None:
                continue
            text = "" if choice.native or piece.delta is None else piece.delta.text
            if text:
                choice.held.feed(text)
                choice.body = body
                if self._queue or choice.held.held or event is not None:
                    event = event or _Event(raw, body, self._now())
                    event.texts.append((choice, place, text, choice.held.size))
                else:
                    choice.gone = choice.held.size
            if choice.native and piece.delta is not None:
                event = self._report(choice, piece.delta, event or _Event(raw, body, self._now()), place)
            if piece.finish_reason:
                event = event or _Event(raw, body, self._now())
                event.ends.append((choice, place))
                self._end(choice, event, cut=piece.finish_reason == "length")
        if event is not None:
            return self._queued(event)
        return self._opaque(raw, done=False)

    def _opaque(self, raw: bytes, *, done: bool) -> bytes:
        """Take an event without text. A comment keeps the connection alive, so it never waits."""
        if done and any(not choice.over for choice in self._choices.values()):
            return self._queued(self._end_of_all(_Event(raw, b"", self._now())))
        if not self._queue or raw.startswith(b":"):
            return raw
        return self._queued(_Event(raw, b"", self._now()))

    def _queued(self, event: _Event) -> bytes:
        self._queue.append(event)
        self._waiting_bytes += len(event.raw)
        if self._waiting_bytes <= MAX_WAITING_BYTES:
            return self._released()
        for choice in self._choices.values():  # a text that has ended is not read any more
            choice.settled = choice.settled or choice.over
        return self.let_go()

    def _released(self) -> bytes:
        """Return the events at the head of the queue that need not wait."""
        out = []
        while self._queue and self._queue[0].free:
            event = self._queue.popleft()
            self._waiting_bytes -= len(event.raw)
            out.append(event.written())
        return b"".join(out)

    def _choice(self, piece: PieceChoice) -> _Choice | None:
        """The choice that a piece belongs to; None if it is not looked at any more."""
        choice = self._choices.get(piece.index)
        if choice is None:
            if len(self._choices) >= MAX_CHOICES:
                return None
            choice = self._choices[piece.index] = _Choice(piece.index, HeldText(self._offered.tools, self._offered.family))
        if choice.over:
            return None
        if not choice.native and piece.delta is not None and piece.delta.reports_calls:
            choice.native = True
            choice.held.let_go()
        return choice

    def _end_of_all(self, event: _Event) -> _Event:
        """Let every choice that has not ended end with this event."""
        for choice in self._choices.values():
            if not choice.over:
                event.ends.append((choice, None))
                self._end(choice, event, cut=False)
        return event

    def _report(self, choice: _Choice, said: SaidPart, event: _Event, place: int) -> _Event:
        """Take the pieces of reported calls. A call ends when the next one begins."""
        for number, piece in enumerate(call_pieces(said)):
            call = choice.reported.get(piece.index)
            if call is None:
                if len(choice.reported) >= MAX_CALLS:
                    break
                self._end_calls(choice, event, cut=False)
                call = choice.reported[piece.index] = ReportedCall(piece.index)
                written_name = piece.function.name if piece.function is not None else None
                name = offered_name(written_name, self._offered.tools) if written_name else None
                if name is not None:
                    event.names.append((place, number, name))
                    call.renamed = True
                    self.mended += 1
            arguments = call.feed(piece)
            choice.body = event.body
            event.pieces.append((call, place, number, arguments, call.size))
        return event

    def _end_calls(self, choice: _Choice, event: _Event, *, cut: bool) -> None:
        """Mend the calls that have ended. event: the one that comes behind them, or holds their last pieces."""
        for call in choice.reported.values():
            if not call.settled and call.end(self._offered, cut=cut):
                self.mended += not call.renamed
                own = [number for number, piece in enumerate(event.pieces) if piece[0] is call and piece[3]]
                if own:
                    event.rests[own[-1]] = call.rest
                    continue
                delta = {"tool_calls": [{"index": call.index, "function": {"arguments": call.rest}}]}
                event.before.append(only_delta(choice.body, choice.index, delta))

    def _end(self, choice: _Choice, event: _Event, *, cut: bool) -> None:
        choice.end(cut=cut)
        self._end_calls(choice, event, cut=cut)
        if choice.native or not choice.held.size:
            choice.settled = True
        elif choice.held.size <= READ_AT_ONCE:
            self._settle(choice, choice.held.read(cut=cut))

    def _settle(self, choice: _Choice, within: CallsWithin) -> None:
        """Take note of the calls in a choice that has ended. They go out behind the rest of its text."""
        choice.settled = True
        choice.held.let_go()
        calls = within.calls if self._offered.parallel else within.calls[:1]
        if not calls:
            return
        self.read += len(calls)
        choice.kept = max(len(within.before), choice.gone)
        ids = self._ids if not choice.index else f"{self._ids}_{choice.index}"
        told = [{"index": number, **written(call, f"{ids}_{number}")} for number, call in enumerate(calls)]
        choice.told = [only_delta(choice.body, choice.index, {"tool_calls": [one]}) for one in told]
