"""Remembers which conversations a stronger model answers, in memory that forked workers share."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from selfopt.dialects.chat_body import ChatBody

from .shared_marks import SharedMarks, feed

REMEMBERED = 65_536
"""Places for conversations. A newer one takes the place of an older one."""
LOOKED_BACK = 16
"""So many of a conversation's last answers are looked at."""
MAX_BYTES = 1_000_000
"""A larger chat is not looked at: it goes past the variant, and so to the stronger model anyway."""


class _Head(msgspec.Struct, gc=False):
    role: str


_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_heads = msgspec.json.Decoder(list[_Head]).decode


class Conversations:
    """A set of conversations, each known by a keyed hash of its messages so far.

    A client sends the whole conversation with each request, so its messages before one of the
    model's answers are those of the request that was answered. A conversation that is forgotten
    (`SharedMarks`), or whose beginning the client changes, begins anew with the smaller model.
    """

    def __init__(self, places: int = REMEMBERED) -> None:
        """places: how many conversations are remembered at most."""
        self._marks = SharedMarks(places)

    def add(self, model: str, caller: str | None, chat: ChatBody) -> None:
        """Remember that another model than this one answered a chat. caller: the id of its key."""
        if chat.size > MAX_BYTES:
            return
        mark = self._marked(model, caller)
        for raw in _decode(chat.fields["messages"]):
            feed(mark, bytes(raw))
        self._marks.add(mark.digest())

    def goes_on(self, model: str, caller: str | None, chat: ChatBody) -> bool:
        """Say whether a chat goes on after an answer that another model than this one gave."""
        if chat.size > MAX_BYTES:
            return False
        return any(digest in self._marks for digest in self._before_answers(model, caller, chat))

    def _before_answers(self, model: str, caller: str | None, chat: ChatBody) -> Iterator[bytes]:
        """What a chat was when each of the last answers in it was given."""
        heads = _decode_heads(chat.fields["messages"])
        answers = [place for place, head in enumerate(heads) if place and head.role == "assistant"][-LOOKED_BACK:]
        if not answers:
            return
        mark, listed, done = self._marked(model, caller), _decode(chat.fields["messages"]), 0
        for place in answers:
            for raw in listed[done:place]:
                feed(mark, bytes(raw))
            done = place
            yield mark.copy().digest()

    def _marked(self, model: str, caller: str | None) -> blake2b:
        return self._marks.hashing(model.encode("utf-8", "replace"), (caller or "").encode("utf-8", "replace"))
