"""Measures how deep and how full a JSON text is, in linear time and without decoding it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

STEP_BYTES = 262_144
_KEPT = b'"[]{}:,'
_OTHERS = bytes(byte for byte in range(256) if byte not in _KEPT)
# The change of depth at each bracket, as a signed byte; 0 for a colon or a comma.
_STEPS = bytes(1 if byte in b"[{" else 255 if byte in b"]}" else 0 for byte in range(256))


class TooDeepError(ValueError):
    """Lists and objects are nested deeper than the limit."""


class TooFullError(ValueError):
    """There are more lists and objects, values, or top-level keys than the limit.

    The message says which.
    """


@dataclass(slots=True)
class ShapeLimits:
    """What a JSON text may have at most."""

    depth: int  # levels of nesting
    containers: int  # lists and objects
    values: int  # in all lists and objects together
    keys: int  # of the outermost object


class JsonShape:
    """Measures a JSON text that comes piece by piece.

    Its counts are right up to the first place where the text is not valid JSON; decoding ends there
    as well.
    """

    __slots__ = ("_at_top", "_escaped", "_inside", "_limits", "containers", "depth", "values")

    def __init__(self, limits: ShapeLimits) -> None:
        self._limits = limits
        self._inside = False
        self._escaped = False
        self._at_top = 0
        self.containers = 0
        self.values = 0
        self.depth = 0

    def feed(self, piece: bytes) -> None:
        """Count the next piece. Raises TooDeepError or TooFullError."""
        marks = self._outside(piece)
        if not marks:
            return
        limits = self._limits
        depths = list(accumulate(memoryview(marks.translate(_STEPS)).cast("b"), initial=self.depth))
        if max(depths) > limits.depth:
            raise TooDeepError(f"nested more than {limits.depth} levels deep")
        self.containers += marks.count(b"[") + marks.count(b"{")
        if self.containers > limits.containers:
            raise TooFullError(f"more than {limits.containers} lists and objects")
        self.values += marks.count(b",")
        if self.values > limits.values:
            raise TooFullError(f"more than {limits.values} values")
        # Depth 1 occurs at the opening bracket and, for each key, at most at its colon, its comma and the end of a list or object.
        self._at_top += depths.count(1) - (self.depth == 1)
        if self._at_top > 3 * limits.keys + 1:
            raise TooFullError(f"more than {limits.keys} keys at the top")
        self.depth = depths[-1]

    def _outside(self, piece: bytes) -> bytes:
        """Returns the brackets, colons and commas of this piece that are not inside a string."""
        if not piece:
            return b""
        if self._escaped:
            piece = piece[1:]
        ending = len(piece) - len(piece.rstrip(b"\\"))
        self._escaped = ending % 2 == 1
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Two adjacent quotes enclose an empty string, or end one string and begin the next.
        marks = piece.translate(None, _OTHERS).replace(b'""', b"")
        if b'"' not in marks:
            return b"" if self._inside else marks
        parts = marks.split(b'"')
        outside = b"".join(parts[1::2] if self._inside else parts[::2])
        if len(parts) % 2 == 0:
            self._inside = not self._inside
        return outside


def shape_steps(text: bytes, limits: ShapeLimits) -> Iterator[None]:
    """Measure a whole text in steps of a few milliseconds.

    Raises TooDeepError or TooFullError as soon as certain.
    """
    shape = JsonShape(limits)
    for start in range(0, len(text), STEP_BYTES):
        shape.feed(text[start : start + STEP_BYTES])
        yield
