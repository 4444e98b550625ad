"""Reads bodies that a server compressed though nobody asked for it, bounded in size."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

SLICE_BYTES = 65_536
_CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15


class Inflater:
    """Decompresses one body as it comes, a slice at a time: few bytes can stand for very many."""

    __slots__ = ("_bits", "_work")

    def __init__(self, coding: str) -> None:
        """coding: the value of Content-Encoding. Raises ValueError for one that is not known."""
        bits = _CODINGS.get(coding.strip().lower())
        if bits is None:
            raise ValueError(f"its answer is encoded as {coding.strip()}, which was not asked for")
        self._bits = bits
        self._work: zlib._Decompress | None = None

    def slices(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes stand for. Raises ValueError if they are damaged."""
        full = False
        while data or full:
            if self._work is None:
                self._work = zlib.decompressobj(self._wanted(data))
            try:
                piece = self._work.decompress(data, SLICE_BYTES)
            except zlib.error as error:
                raise ValueError(f"its compressed answer cannot be read: {error}") from None
            full = len(piece) == SLICE_BYTES
            data = self._work.unconsumed_tail
            if piece:
                yield piece
            if self._work.eof:  # a body may have several parts, one after the other
                data, full, self._work = self._work.unused_data, False, None

    def _wanted(self, data: bytes) -> int:
        """Which form it has: many servers send `deflate` without the head of zlib."""
        return _RAW_DEFLATE if self._bits == 15 and data[0] & 0x0F != 8 else self._bits

    def end(self) -> None:
        """Raise ValueError if the body was cut off."""
        if self._work is not None:
            raise ValueError("its compressed answer was cut off")


def inflater_of(coding: str | None) -> Inflater | None:
    """The one for a Content-Encoding; None for a plain body. Raises ValueError for an unknown one."""
    return None if coding is None or coding.strip().lower() in ("", "identity") else Inflater(coding)
