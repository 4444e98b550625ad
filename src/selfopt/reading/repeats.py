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

    def __init__(self) -> None:
        self._tail = ""
        self._fresh = 0

    def feed(self, text: str) -> bool:
        """Take a piece of the reply. Returns whether the reply repeats itself."""
        self._tail += text
        self._fresh += len(text)
        if self._fresh < _EVERY:
            return False
        self._fresh = 0
        self._tail = self._tail[-_KEPT:]
        return repeats(self._tail)
