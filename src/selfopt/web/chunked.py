"""Reads a body in chunks."""

from __future__ import annotations

import re

from .grammar import fields_of
from .limits import BadMessage

MAX_LINE = 4096
MAX_EXTENSION_BYTES = 16_384
MAX_TRAILERS = 32
MAX_TRAILER_BYTES = 8192
# Each chunk costs about a microsecond, so many chunks must hold some bytes each.
FREE_CHUNKS = 4096
MEAN_CHUNK = 16

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)(?:[ \t]*+;[\t\x20-\x7e\x80-\xff]*+)?\r\n")
_NEXT = re.compile(rb"\r\n([0-9A-Fa-f]{1,15}+)\r\n")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_BAD = (400, b"bad_chunk", b"a chunk of the body is malformed")


class Chunked:
    """Reads a chunked body as it comes. Trailers are checked and dropped.

    It keeps nothing but an unfinished line of bounded length.
    """

    __slots__ = ("_chunks", "_ended", "_extension_bytes", "_left", "_line", "_size", "_trailer_bytes", "_trailers")

    def __init__(self) -> None:
        self._left = 0
        self._ended = False
        self._line = b""
        self._chunks = self._size = self._extension_bytes = 0
        self._trailers = self._trailer_bytes = -1

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """Return more of the body, and where in `data` it ended, or -1. Raises BadMessage."""
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while at < size:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._ended = not self._left
                continue
            if self._ended and not self._line:
                usual = _NEXT.match(data, at)
                if usual is not None:
                    self._ended = False
                    self._begin(usual[1])
                    at = usual.end()
                    continue
            end = data.find(b"\n", at) + 1
            line = self._line + data[at : end or size]
            if len(line) > MAX_LINE:
                raise BadMessage.too_large() if self._trailers >= 0 else BadMessage(*_BAD)
            at = end or size
            self._line = b"" if end else line
            if end and self._take(line):
                return b"".join(pieces), at
            if not end and self._ended and line != b"\r":
                raise BadMessage(*_BAD)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), -1

    def _begin(self, digits: bytes) -> None:
        """Begin a chunk of this length."""
        self._left = left = int(digits, 16)
        if not left:
            self._trailers = self._trailer_bytes = 0
        self._chunks += 1
        self._size += left
        if self._chunks > FREE_CHUNKS and self._size < MEAN_CHUNK * self._chunks:
            raise BadMessage(400, b"chunks_too_small", b"the body comes in too many small chunks")

    def _take(self, line: bytes) -> bool:
        """Take a whole line; return whether it ends the body."""
        if self._ended:
            if line != b"\r\n":
                raise BadMessage(*_BAD)
            self._ended = False
        elif self._trailers < 0:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise BadMessage(*_BAD)
            self._extension_bytes += len(line) - len(match[1]) - 2
            if self._extension_bytes > MAX_EXTENSION_BYTES:
                raise BadMessage(*_BAD)
            self._begin(match[1])
        elif line == b"\r\n":
            return True
        else:
            self._trailers += 1
            self._trailer_bytes += len(line)
            if self._trailers > MAX_TRAILERS or self._trailer_bytes > MAX_TRAILER_BYTES:
                raise BadMessage.too_large()
            if not _FRAMING.isdisjoint(fields_of(line, 1)[0]):
                raise BadMessage(400, b"bad_framing", b"a trailer cannot say how long the body was")
        return False
