"""Reads the calls in a stream that is passed on. An event waits only while its text can still become a call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from selfopt.dialects.finish import finish_of
from selfopt.dialects.lawful_pieces import LawfulPieces
from selfopt.dialects.openai_edit import (
    MAX_CHOICES,
    PieceChoice,
    SaidPart,
    call_pieces,
    offered_name,
    only_delta,
    read_piece,
    written,
)
from selfopt.reading.held import HeldText
from selfopt.reading.within import CallsWithin

from .bounded import beside
from .cutting import Cut, each_once
from .framing import Frame, Frames
from .offered import OfferedTools
from .reported_call import ReportedCall
from .waiting import WaitingEvent, WatchedChoice

DOUBT_S = 2.0
"""An event waits so long while nothing shows that a call begins in it."""
CALL_S = 60.0
"""An event waits so long while what was written is the beginning of a call."""
MAX_WAITING_BYTES = 2_097_152
MAX_CALLS = 1024  # of one choice
READ_AT_ONCE = 8192
"""The longest text that is read when its choice ends; a longer one is read when the stream ends."""
_DONE = b"[DONE]"


class WatchedStream:
    """The events of one stream.

    Attributes:
        read: how many calls were read from text.
        mended: how many calls that the server reported were mended.
        reframed: whether the server sent bare JSON, which becomes events.
        cut: why the stream is to be ended early; None while it may go on.
    """

    def __init__(self, offered: OfferedTools, ids: str, now: Callable[[], float]) -> None:
        """ids: the beginning of the ids of calls; now: tells the time in seconds."""
        self._offered, self._ids, self._now = offered, ids, now
        self._frames = Frames()
        self._forms = LawfulPieces(offered.tools, ids)
        self._queue: deque[WaitingEvent] = deque()
        self._waiting_bytes = 0
        self._choices: dict[int, WatchedChoice] = {}
        self._mended: set[tuple[int, int]] = set()
        self._done = False
        self.read = 0
        self.reframed = False
        self.cut: Cut | None = None

    @property
    def mended(self) -> int:
        """How many calls that the server reported were mended, in their form or in what they say."""
        return self._forms.mended + sum(not self._forms.is_mended(*one) for one in self._mended)

    @property
    def due(self) -> float | None:
        """When what waits goes out all the same; None if nothing waits for its text."""
        if not self._queue or all(choice.over for choice in self._choices.values()):
            return None
        calling = any(choice.held.calling or choice.native for choice in self._choices.values())
        return self._queue[0].at + (CALL_S if calling else DOUBT_S)

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the stream; return what can be passed on. Once it is cut, nothing more is taken."""
        out = []
        for frame in self._frames.feed(data) if self.cut is None else ():
            out.append(self._in_form(frame))
            if self.cut is not None:
                break
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
        out = b"".join(self._take(Frame(b"data: %s\n\n" % body, body)) for body in self._forms.end())
        for choice in self._choices.values():
            choice.over = choice.settled = True
        return out + self.let_go() + self._frames.rest()

    async def end(self) -> bytes:
        """Return what waits at the end of a complete stream, or of one that is cut."""
        out = b"".join(map(self._in_form, self._frames.end() if self.cut is None else ()))
        for body in self._forms.end():
            out += self._take(Frame(b"data: %s\n\n" % body, body))
        if any(not choice.over for choice in self._choices.values()):
            out += self._queued(self._end_of_all(WaitingEvent(Frame(b"", b""), self._now())))
        for choice in self._choices.values():
            if not choice.settled:
                self._settle(choice, await beside(choice.held.size, choice.held.read, cut=choice.cut))
        out += self._released()
        return out + b"data: %s\n\n" % _DONE if (self.reframed or self.cut is not None) and not self._done else out

    def _in_form(self, frame: Frame) -> bytes:
        """Take an event as it came, and return what can be passed on. Clients get it in the form that they expect."""
        body = frame.body
        try:
            pieces = read_piece(body).choices if body else []
            bodies = self._formed(body, pieces)
        except (msgspec.DecodeError, RecursionError):
            if body.upper() != _DONE:
                return self._opaque(frame, done=False)
            self._done = True
            return self._opaque(frame if body == _DONE else frame._replace(raw=frame.written(_DONE)), done=True)
        if not frame.sound and pieces:
            self.reframed = True
            frame = Frame(frame.written(body), body)
        if bodies is None or bodies == [body]:
            return self._take(frame, pieces, noted=bodies is not None)
        out = b""
        for new in bodies:
            out += self._take(Frame(frame.written(new), new, frame.head))
            frame = Frame(b"", b"")
        return out

    def _is_odd(self, piece: PieceChoice) -> bool:
        """Whether the form of a choice has to be looked at: it holds calls or a message, or ends a choice that did."""
        if piece.is_odd or (piece.delta is not None and piece.delta.reports_calls):
            return True
        return bool(piece.finish_reason) and self._forms.knows(piece.index or 0)

    def _formed(self, body: bytes, pieces: Sequence[PieceChoice]) -> list[bytes] | None:
        """Return the events to send in place of one; None if its form need not be looked at."""
        if not any(map(self._is_odd, pieces)):
            return None
        only = pieces[0] if len(pieces) == 1 and not pieces[0].is_odd and not pieces[0].finish_reason else None
        delta = only.delta if only is not None else None
        if only is not None and delta is not None and not delta.text and self._forms.goes_on(only.index or 0, delta):
            return [body]
        return self._forms.take(body)

    def _take(self, frame: Frame, pieces: Sequence[PieceChoice] | None = None, *, noted: bool = True) -> bytes:
        """Take an event in the form that clients expect, and return what can be passed on. noted: see `LawfulPieces.said`."""
        pieces = read_piece(frame.body).choices if pieces is None else pieces
        event: WaitingEvent | None = None
        for place, piece in enumerate(pieces[:MAX_CHOICES]):
            choice = self._choice(piece)
            if choice is None:
                continue
            choice.body = frame.body
            text = "" if piece.delta is None else self._looked(choice, piece.delta, noted=noted)
            if text and not choice.native:
                choice.held.feed(text)
                if self._queue or choice.held.held or event is not None:
                    event = event or WaitingEvent(frame, self._now())
                    event.texts.append((choice, place, text, choice.held.size))
                else:
                    choice.gone = choice.held.size
            if choice.native and piece.delta is not None:
                event = self._report(choice, piece.delta, event or WaitingEvent(frame, self._now()), place)
            if piece.finish_reason:
                event = event or WaitingEvent(frame, self._now())
                event.ends.append((choice, place))
                self._end(choice, event, cut=finish_of(piece.finish_reason) == "length")
            if choice.runs_away and not choice.over and all(one.runs_away or one.over for one in self._choices.values()):
                self.cut = "repeats"
        return self._queued(event) if event is not None else self._opaque(frame, done=False)

    def _looked(self, choice: WatchedChoice, said: SaidPart, *, noted: bool) -> str:
        """Return the text in a piece, after a look whether the choice repeats itself."""
        text, thinking = said.text, said.thinking
        if not noted:
            self._forms.said(choice.index, text, thinking, said)
        if text:
            choice.look("text", text)
        if thinking:
            choice.look("thinking", thinking)
        return text

    def _opaque(self, frame: Frame, *, done: bool) -> bytes:
        """Take an event without text. A comment keeps the connection alive, so it never waits."""
        if done and any(not choice.over for choice in self._choices.values()):
            out = b"".join(self._take(Frame(b"data: %s\n\n" % body, body)) for body in self._forms.end())
            return out + self._queued(self._end_of_all(WaitingEvent(Frame(frame.raw, b""), self._now())))
        if not self._queue or frame.raw.startswith(b":"):
            return frame.raw
        return self._queued(WaitingEvent(Frame(frame.raw, b""), self._now()))

    def _queued(self, event: WaitingEvent) -> bytes:
        self._queue.append(event)
        self._waiting_bytes += len(event.frame.raw)
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
            self._waiting_bytes -= len(event.frame.raw)
            out.append(event.written())
        return b"".join(out)

    def _choice(self, piece: PieceChoice) -> WatchedChoice | None:
        """The choice that a piece belongs to; None if it is not looked at any more."""
        index = piece.index or 0
        choice = self._choices.get(index)
        if choice is None:
            if len(self._choices) >= MAX_CHOICES:
                return None
            choice = self._choices[index] = WatchedChoice(index, HeldText(self._offered.tools, self._offered.family))
        if choice.over:
            return None
        if not choice.native and piece.delta is not None and piece.delta.reports_calls:
            choice.native = True
            choice.held.let_go()
        return choice

    def _end_of_all(self, event: WaitingEvent) -> WaitingEvent:
        """Let every choice that has not ended end with this event."""
        for choice in self._choices.values():
            if not choice.over:
                event.ends.append((choice, None))
                choice.broken_off = self.cut is not None
                self._end(choice, event, cut=choice.broken_off)
        return event

    def _report(self, choice: WatchedChoice, said: SaidPart, event: WaitingEvent, place: int) -> WaitingEvent:
        """Take the pieces of reported calls. A call ends when the next one begins, unless several are written at once."""
        pieces = call_pieces(said)
        choice.mixed = choice.mixed or len(pieces) > 1
        for number, piece in enumerate(pieces):
            call = choice.reported.get(piece.index)
            if call is None:
                if len(choice.reported) >= MAX_CALLS:
                    break
                if not choice.mixed:
                    self._end_calls(choice, event, cut=False)
                call = choice.reported[piece.index] = ReportedCall(piece.index)
                written_name = piece.function.name if piece.function is not None else None
                name = offered_name(written_name, self._offered.tools) if written_name else None
                if name is not None:
                    event.names.append((place, number, name))
                    self._mended.add((choice.index, call.index))
            arguments = call.feed(piece)
            choice.look("calls", (piece.function.name or "") + arguments if piece.function is not None else "")
            event.pieces.append((call, place, number, arguments, call.size))
        return event

    def _end_calls(self, choice: WatchedChoice, event: WaitingEvent, *, cut: bool) -> None:
        """Mend the calls that have ended. event: the one that comes behind them, or holds their last pieces."""
        for call in choice.reported.values():
            if not call.settled and call.end(self._offered, cut=cut):
                self._mended.add((choice.index, call.index))
                own = [number for number, piece in enumerate(event.pieces) if piece[0] is call and piece[3]]
                if own:
                    event.rests[own[-1]] = call.rest
                    continue
                delta = {"tool_calls": [{"index": call.index, "function": {"arguments": call.rest}}]}
                event.before.append(only_delta(choice.body, choice.index, delta))

    def _end(self, choice: WatchedChoice, event: WaitingEvent, *, cut: bool) -> None:
        choice.end(cut=cut)
        self._end_calls(choice, event, cut=cut)
        if choice.native or not choice.held.size:
            choice.settled = True
        elif choice.held.size <= READ_AT_ONCE:
            self._settle(choice, choice.held.read(cut=cut))

    def _settle(self, choice: WatchedChoice, within: CallsWithin) -> None:
        """Take note of the calls in a choice that has ended. They go out behind the rest of its text."""
        choice.settled = True
        choice.held.let_go()
        calls = each_once(within.calls) if choice.broken_off else within.calls
        calls = calls if self._offered.parallel else calls[:1]
        if not calls:
            return
        self.read += len(calls)
        choice.kept = max(len(within.before), choice.gone)
        ids = self._ids if not choice.index else f"{self._ids}_{choice.index}"
        told = [{"index": number, **written(call, f"{ids}_{number}")} for number, call in enumerate(calls)]
        choice.told = [only_delta(choice.body, choice.index, {"tool_calls": [one]}) for one in told]
