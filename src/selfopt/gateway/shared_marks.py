"""Remembers marks in bounded memory that forked workers share."""

from __future__ import annotations

import mmap
import os
from hashlib import blake2b

_BYTES = 8


class SharedMarks:
    """A set of keyed hashes of bounded size.

    Processes that are forked after this was made share it. A place is eight bytes: when two write at
    once, one of the two is forgotten. A newer mark takes the place of an older one. Nothing outlives
    the processes.
    """

    def __init__(self, places: int) -> None:
        """places: how many marks are remembered at most."""
        self._places = places
        self._memory = mmap.mmap(-1, places * _BYTES)
        self._key = os.urandom(32)

    def hashing(self, *parts: bytes) -> blake2b:
        """Return what makes a mark of these parts, and of those that are fed to it."""
        mark = blake2b(digest_size=_BYTES * 2, key=self._key)
        for part in parts:
            feed(mark, part)
        return mark

    def add(self, digest: bytes) -> None:
        """Remember a mark. digest: of `hashing`."""
        self._memory[self._place(digest)] = digest[:_BYTES]

    def __contains__(self, digest: bytes) -> bool:
        """Say whether a mark is remembered."""
        return self._memory[self._place(digest)] == digest[:_BYTES]

    def discard(self, digest: bytes) -> bool:
        """Forget a mark. Returns whether it was remembered."""
        known = digest in self
        if known:
            self._memory[self._place(digest)] = bytes(_BYTES)
        return known

    def _place(self, digest: bytes) -> slice:
        begin = int.from_bytes(digest[_BYTES:], "little") % self._places * _BYTES
        return slice(begin, begin + _BYTES)


def feed(mark: blake2b, part: bytes) -> None:
    """Add a part with its length, so that no two lists of parts look alike."""
    mark.update(len(part).to_bytes(8, "little"))
    mark.update(part)
