"""Remembers which conversations a stronger model answers, in memory that forked workers share."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from selfopt.dialects.chat_body import ChatBody

REMEMBERED = 65_536
"""Places for conversations. A newer one takes the place of an older one."""
LOOKED_BACK = 16
"""So many of a conversation's last answers are looked at."""
MAX_BYTES = 1_000_000
"""A larger chat is not looked at: it goes past the variant, and so to the stronger model anyway."""

_BYTES = 8


class _Head(msgspec.Struct, gc=False):
    role: str


_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_heads = msgspec.json.Decoder(list[_Head]).decode


class Conversations:
    """A set of conversations, each known by a keyed hash of its messages so far.

    A client sends the whole conversation with each request, so its messages before one of the
    model's answers are those of the request that was answered. Processes that are forked after this
    was made share it. A place is eight bytes: when two write at once, one of the two is forgotten.
    Nothing outlives the processes. A conversation that is forgotten, or whose beginning the client
    changes, begins anew with the smaller model.
    """

    def __init__(self, places: int = REMEMBERED) -> None:
        """places: how many conversations are remembered at most."""
        self._places = places
        self._memory = mmap.mmap(-1, places * _BYTES)
        self._key = os.urandom(32)

    def add(self, model: str, caller: str | None, chat: ChatBody) -> None:
        """Remember that another model than this one answered a chat. caller: the id of its key."""
        if chat.size > MAX_BYTES:
            return
        mark = self._marked(model, caller)
        for raw in _decode(chat.fields["messages"]):
            _feed(mark, raw)
        self._write(mark.digest())

    def goes_on(self, model: str, caller: str | None, chat: ChatBody) -> bool:
        """Say whether a chat goes on after an answer that another model than this one gave."""
        if chat.size > MAX_BYTES:
            return False
        return any(self._holds(digest) for digest in self._before_answers(model, caller, chat))

    def _before_answers(self, model: str, caller: str | None, chat: ChatBody) -> Iterator[bytes]:
        """What a chat was when each of the last answers in it was given."""
        heads = _decode_heads(chat.fields["messages"])
        answers = [place for place, head in enumerate(heads) if place and head.role == "assistant"][-LOOKED_BACK:]
        if not answers:
            return
        mark, listed, done = self._marked(model, caller), _decode(chat.fields["messages"]), 0
        for place in answers:
            for raw in listed[done:place]:
                _feed(mark, raw)
            done = place
            yield mark.copy().digest()

    def _marked(self, model: str, caller: str | None) -> blake2b:
        mark = blake2b(digest_size=_BYTES * 2, key=self._key)
        _feed(mark, model.encode("utf-8", "replace"))
        _feed(mark, (caller or "").encode("utf-8", "replace"))
        return mark

    def _place(self, digest: bytes) -> slice:
        begin = int.from_bytes(digest[_BYTES:], "little") % self._places * _BYTES
        return slice(begin, begin + _BYTES)

    def _holds(self, digest: bytes) -> bool:
        return self._memory[self._place(digest)] == digest[:_BYTES]

    def _write(self, digest: bytes) -> None:
        self._memory[self._place(digest)] = digest[:_BYTES]


def _feed(mark: blake2b, part: bytes | msgspec.Raw) -> None:
    """Add a part with its length, so that no two lists of parts look alike."""
    data = bytes(part)
    mark.update(len(data).to_bytes(8, "little"))
    mark.update(data)
