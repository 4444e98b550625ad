"""Recognises a reply that repeats itself: a model that will not stop by itself."""

from __future__ import annotations

LONGEST_PIECE = 400
TIMES = 6
SPAN = 1200
"""A reply runs away once its last 1,200 characters, or six pieces if these are longer, are one piece repeated."""

_KEPT = LONGEST_PIECE * TIMES
_EVERY = 128
_MARK = 24
_GUESSES = 8


def repeats(text: str) -> bool:
    """Say whether a text ends in one piece of at most 400 characters, over and over.

    Takes microseconds: it guesses the length of the piece by where the end of the text was before.
    """
    mark, at = text[-_MARK:], len(text) - 1
    for _ in range(_GUESSES):
        at = text.rfind(mark, max(0, len(text) - _MARK - LONGEST_PIECE), at + _MARK - 1)
        if at < 0:
            return False
        piece = len(text) - _MARK - at
        span = max(SPAN, piece * TIMES)
        if len(text) >= span and text[-span:-piece] == text[piece - span :]:
            return True
    return False


class RepeatWatch:
    """Watches a reply as it comes. Keeps no more of it than is compared."""

    def __init__(self, span: int = SPAN) -> None:
        """span: how many characters have to be one piece repeated, at least SPAN."""
        self._span = span
        self._tail = ""
        self._fresh = 0
        self._run = 0  # how many characters at the end are one piece repeated
        self._repeats = False

    def feed(self, text: str) -> bool:
        """Take a piece of the reply. Returns whether the reply repeats itself, as far as was looked."""
        for at in range(0, len(text), _EVERY) if len(text) > _EVERY else (0,):
            piece = text[at : at + _EVERY]
            self._tail += piece
            self._fresh += len(piece)
            if self._fresh >= _EVERY:
                self._look()
        return self._repeats

    def _look(self) -> None:
        self._tail = self._tail[-_KEPT:]
        # Two looks that follow each other see most of the same text, so the piece is the same.
        self._run = (self._run + self._fresh if self._run else SPAN) if repeats(self._tail) else 0
        self._fresh, self._repeats = 0, self._run >= self._span
