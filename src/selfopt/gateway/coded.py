"""Decompresses answers: not every client reads a coding that it did not ask for, and a key would stay hidden in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from selfopt.dialects.coding import Inflater, inflater_of
from selfopt.errors import EndpointError
from selfopt.home import escape_control
from selfopt.web import UpstreamReply

MAX_BURST_BYTES = 4_000_000
"""So much may come of one piece of a stream, however few bytes it has."""


def inflater_for(answer: UpstreamReply) -> Inflater | None:
    """Return what decompresses an answer; None for a plain one. Raises EndpointError."""
    coding = answer.headers.get(b"content-encoding")
    try:
        return inflater_of(coding.decode("latin-1")) if coding is not None else None
    except ValueError as error:
        raise _unreadable(error) from None


async def plain(answer: UpstreamReply, max_bytes: int) -> UpstreamReply:
    """Return the whole answer decompressed, of at most so many bytes.

    Raises EndpointError, but not for an error status, which says more than its body.
    """
    body = bytearray()
    try:
        inflater = inflater_for(answer)
        if inflater is None:
            return answer
        for piece in _slices(inflater, answer.body):
            body += piece
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            await asyncio.sleep(0)
        _end(inflater)
    except EndpointError:
        if answer.status == 200:
            raise
    return replace(answer, body=bytes(body[:max_bytes]))


class Inflating:
    """Hands the pieces of a stream on decompressed."""

    __slots__ = ("_inflater", "_left", "_sink")

    def __init__(self, inflater: Inflater, sink: Callable[[bytes], None], max_bytes: int) -> None:
        self._inflater, self._sink, self._left = inflater, sink, max_bytes

    def take(self, data: bytes) -> None:
        """Take a piece. Raises EndpointError."""
        burst = min(self._left, MAX_BURST_BYTES)
        for piece in _slices(self._inflater, data):
            burst -= len(piece)
            self._left -= len(piece)
            if burst < 0:
                raise _too_large(MAX_BURST_BYTES)
            self._sink(piece)

    def end(self) -> None:
        """Raise EndpointError if the stream was cut off."""
        _end(self._inflater)


def _slices(inflater: Inflater, data: bytes) -> Iterator[bytes]:
    try:
        yield from inflater.slices(data)
    except ValueError as error:
        raise _unreadable(error) from None


def _end(inflater: Inflater) -> None:
    try:
        inflater.end()
    except ValueError as error:
        raise _unreadable(error) from None


def _too_large(max_bytes: int) -> EndpointError:
    return EndpointError(f"reply is larger than {max_bytes} bytes", kind="protocol", final=True)


def _unreadable(error: ValueError) -> EndpointError:
    return EndpointError(escape_control(str(error), 120), kind="protocol", final=True)
