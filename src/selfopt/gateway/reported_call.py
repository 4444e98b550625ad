"""A call that a server reports in pieces: they are passed on as long as they add up to sound arguments."""

from __future__ import annotations

from selfopt.dialects.growing_json import GrowingJson, completed
from selfopt.dialects.openai_edit import CallPiece, mended_arguments

from .offered import OfferedTools

MAX_CHARS = 16_384  # of damaged arguments


class ReportedCall:
    """One call.

    Attributes:
        size: how many characters of its arguments have come.
        kept: how many of them the client gets as they came; None for all.
        rest: what it gets besides, so that they are sound.
        settled: whether that is decided.
    """

    __slots__ = ("_json", "_name", "_parts", "index", "kept", "rest", "settled", "size")

    def __init__(self, index: int) -> None:
        self.index = index
        self._json = GrowingJson()
        self._name = ""
        self._parts: list[str] = []
        self.size = 0
        self.kept: int | None = None
        self.rest = ""
        self.settled = False

    @property
    def passed(self) -> int:
        """How many characters may be passed on."""
        return self.size if self.settled or (self._json.sound == self.size and not self._json.broken) else self._json.sound

    def feed(self, piece: CallPiece) -> str:
        """Take a piece. Returns the arguments in it."""
        function = piece.function
        if function is None:
            return ""
        self._name += function.name or ""
        arguments = function.arguments or ""
        self.size += len(arguments)
        if not self.settled:
            self._parts.append(arguments)
            self._json.feed(arguments)
            if self._json.broken and self.size > MAX_CHARS:
                self.let_go()
        return arguments

    def let_go(self) -> None:
        """Pass the call on as it comes."""
        self.settled = True
        self._parts.clear()

    def end(self, offered: OfferedTools, *, cut: bool) -> bool:
        """Mend the call, which is complete, if that is needed and nothing is lost by it. Returns whether it was mended."""
        if self.settled or self._json.whole:
            self.settled = True
            return False
        text = "".join(self._parts)
        self.let_go()
        value = mended_arguments(self._name, text, offered.tools, cut=cut)
        sound = text[: self._json.sound]
        rest = completed(sound, value) if value is not None else None
        if rest is None:
            return False
        self.kept, self.rest = len(sound), rest
        return True
