"""The events of a stream that wait, and the choices that they belong to."""

from __future__ import annotations

from selfopt.dialects.openai_edit import finished_by_calls, only_delta, with_function, with_text
from selfopt.reading.held import HeldText

from .cutting import Runaway
from .framing import Frame
from .reported_call import ReportedCall


class WatchedChoice:
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
        mixed: whether the pieces of several calls may come in turns.
        runs_away: whether it repeats itself, in its text, its thinking or its calls.
        broken_off: whether it was ended for that.
    """

    __slots__ = (
        "_watch",
        "body",
        "broken_off",
        "cut",
        "gone",
        "held",
        "index",
        "kept",
        "mixed",
        "native",
        "over",
        "reported",
        "runs_away",
        "settled",
        "told",
    )

    def __init__(self, index: int, held: HeldText) -> None:
        self.index, self.held = index, held
        self.gone = 0
        self.kept: int | None = None
        self.native = self.over = self.settled = self.cut = self.runs_away = self.broken_off = self.mixed = False
        self._watch = Runaway()
        self.told: list[bytes] = []
        self.reported: dict[int, ReportedCall] = {}
        self.body = b""

    def look(self, name: str, text: str) -> None:
        """Look whether a part of it, such as its text, repeats itself."""
        self.runs_away = self._watch.look(name, text)

    def end(self, *, cut: bool) -> None:
        """Note that it ended. cut: by the token limit."""
        self.over, self.cut = True, cut


class WaitingEvent:
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

    __slots__ = ("at", "before", "body", "ends", "frame", "names", "pieces", "rests", "texts")

    def __init__(self, frame: Frame, at: float) -> None:
        self.frame, self.body, self.at = frame, frame.body, at
        self.texts: list[tuple[WatchedChoice, int, str, int]] = []
        self.pieces: list[tuple[ReportedCall, int, int, str, int]] = []
        self.rests: dict[int, str] = {}
        self.names: list[tuple[int, int, str]] = []
        self.before: list[bytes] = []
        self.ends: list[tuple[WatchedChoice, int | None]] = []

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
            changed = call.kept is not None and ((arguments and call.kept < end) or number in self.rests)
            if call.kept is not None and changed and body is not None:
                kept = arguments[: max(0, call.kept - end + len(arguments))]
                body = with_function(body, at, one, {"arguments": kept + self.rests.get(number, "")})
        for at, one, name in self.names:
            body = with_function(body, at, one, {"name": name}) if body is not None else None
        calls = b"".join(b"data: %s\n\n" % one for one in self.before)
        for choice, place in self.ends:
            told = choice.told
            if place is None and choice.body and (told or choice.broken_off):
                told = [*told, only_delta(choice.body, choice.index, {}, "tool_calls" if told else "length")]
            elif told and body is not None:
                body = finished_by_calls(body, place or 0)
            calls += b"".join(b"data: %s\n\n" % one for one in told)
        own = self.frame.raw if body is self.body else self.frame.written(body) if body is not None else b""
        return calls + own
