"""How deep and how full a JSON text is, found by counting, in linear time and without decoding anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

STEP_BYTES = 262_144
_KEPT = b'"[]{}:,'
_OTHERS = bytes(byte for byte in range(256) if byte not in _KEPT)
# Each bracket as the step that it is, as a signed byte; a colon or a comma is none.
_STEPS = bytes(1 if byte in b"[{" else 255 if byte in b"]}" else 0 for byte in range(256))


class TooDeepError(ValueError):
    """Lists and objects within each other beyond the limit."""


class TooFullError(ValueError):
    """More lists and objects, values, or keys at the top, than the limit. The message says which."""


@dataclass(slots=True)
class ShapeLimits:
    """The most that a JSON text may have."""

    depth: int  # lists and objects within each other
    containers: int  # lists and objects in all
    values: int  # in all lists and objects together
    keys: int  # of the outermost object


class JsonShape:
    """Takes a JSON text piece by piece. What it finds is right for valid JSON; of anything else it is right up to the first place
    where it is none, which is where decoding ends as well."""

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
        """The next piece. TooDeepError, TooFullError."""
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
        # At the top stand the opening bracket, and for each key its colon, its comma and the end of a value that is a list or an object.
        self._at_top += depths.count(1) - (self.depth == 1)
        if self._at_top > 3 * limits.keys + 1:
            raise TooFullError(f"more than {limits.keys} keys at the top")
        self.depth = depths[-1]

    def _outside(self, piece: bytes) -> bytes:
        """The brackets, colons and commas of this piece that stand in no text."""
        if self._escaped:
            piece = piece[1:]
        ending = len(piece) - len(piece.rstrip(b"\\"))
        self._escaped = ending % 2 == 1
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Two quotes beside each other begin and end the same text, or the texts between which nothing of interest stands.
        marks = piece.translate(None, _OTHERS).replace(b'""', b"")
        if b'"' not in marks:
            return b"" if self._inside else marks
        parts = marks.split(b'"')
        outside = b"".join(parts[1::2] if self._inside else parts[::2])
        if len(parts) % 2 == 0:
            self._inside = not self._inside
        return outside


def shape_steps(text: bytes, limits: ShapeLimits) -> Iterator[None]:
    """Look at a whole text, a few milliseconds between two steps. TooDeepError, TooFullError: as soon as they are certain."""
    shape = JsonShape(limits)
    for start in range(0, len(text), STEP_BYTES):
        shape.feed(text[start : start + STEP_BYTES])
        yield
