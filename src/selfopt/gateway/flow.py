"""Streams an answer that is read from a model's text, sending text once it cannot be a call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from selfopt.dialects.clients import ReplyWriter
from selfopt.dialects.refusal import Refusal
from selfopt.errors import EndpointError
from selfopt.reading import HeldText
from selfopt.reading.chain import LONGEST_WORD
from selfopt.records import ToolCall

from .live_request import LiveRequest
from .watched_stream import CALL_S, DOUBT_S

STREAM = b"Content-Type: text/event-stream"
# Every format of a call in text contains one of these; a fence may come first.
_SIGN = re.compile(r"[{\[<(`]")


def before_a_call(text: str) -> str:
    """Return the text before the first sign of a call, or nothing if that is a word at most."""
    sign = _SIGN.search(text)
    before = text[: sign.start()] if sign is not None else text
    return before if len(before.strip()) > LONGEST_WORD else ""


class Flow:
    """Holds back text that may be a call until the reply is complete.

    Attributes:
        watched: whether text may be a call at all.
        calls: those that were sent.
    """

    def __init__(self, exchange: LiveRequest, completion: ReplyWriter) -> None:
        self._exchange = exchange
        self._completion = completion
        self._held: list[str] = []
        self._fed = False
        self._in_doubt = False
        self._spoke = False
        self._watch: HeldText | None = None
        self._since = 0.0
        self._sent_chars = 0
        self._thought: list[str | dict[str, Any]] = []
        self._thinks = False
        self.calls: tuple[ToolCall, ...] = ()
        self.watched = True

    @property
    def sent(self) -> bool:
        """Whether the client has a part of the answer, which rules out another attempt."""
        return self._exchange.reply.status != 0

    def restart(self, *, watch: HeldText | None) -> None:
        """Forget what was held: another reply replaces this one. watch: says what of it can be no call; None: all of it."""
        self._held, self._fed, self._in_doubt, self.watched = [], False, False, watch is not None
        self._watch, self._thought = watch, []

    async def think(self, piece: str | dict[str, Any]) -> None:
        """Take a piece of thinking, or the signed block that one ends. It begins no answer: another attempt may follow."""
        self._thought.append(piece)
        if self._spoke or self.calls:
            await self._write()

    async def feed(self, text: str) -> None:
        """Take a piece of the reply."""
        if not text:
            return
        self._held.append(text)
        self._fed = True
        if self._watch is not None:
            await self._feed(self._watch, text)
            return
        if self._in_doubt:
            return
        certain = held = "".join(self._held)
        if self.watched:
            sign = _SIGN.search(held)
            self._in_doubt = sign is not None
            certain = held[: sign.start()] if sign is not None else held
            if not self._spoke and len(certain.strip()) <= LONGEST_WORD:
                return
        self._held = [held[len(certain) :]]
        await self._text(certain)

    async def _feed(self, watch: HeldText, text: str) -> None:
        """Take a piece, and send what can be no call, or has been held for too long."""
        before, flowed = watch.passed, watch.passed == watch.size
        watch.feed(text)
        now = asyncio.get_running_loop().time()
        if flowed or watch.passed > before:
            self._since = now
        if watch.passed < watch.size and now > self._since + (CALL_S if watch.calling else DOUBT_S):
            watch.let_go()
        held = "".join(self._held)
        certain = len(held) - (watch.size - watch.passed)
        self._held = [held[certain:]]
        await self._text(held[:certain])

    async def _text(self, text: str) -> None:
        if text:
            self._spoke = True
            self._sent_chars += len(text)
            await self._write(text)

    async def _write(self, text: str = "", call: tuple[int, ToolCall] | None = None) -> None:
        """Send a piece of the answer, and before it what was thought."""
        await self._begin()
        reply, event = self._exchange.reply, self._thoughts()
        if text or call is not None:
            event += self._completion.piece(text, call)
        reply.write(event)
        if reply.stuck:
            taken = asyncio.get_running_loop().create_future()
            reply.when_writable(lambda: None if taken.done() else taken.set_result(None))
            await taken

    def _thoughts(self) -> bytes:
        """What was thought since the last piece. Blanks alone wait."""
        events, text = [], ""
        for piece in [*self._thought, None]:
            if isinstance(piece, str):
                text += piece
                continue
            if text.strip():
                events.append(self._completion.piece(thinking=text if self._thinks else text.strip()))
                self._thinks, text = True, ""
            if piece is not None:
                events.append(self._completion.signed(piece))
        self._thought = [text] if text else []
        return b"".join(events)

    async def say_calls(self, calls: Sequence[ToolCall]) -> None:
        """Send those of the answer's first calls that were not sent yet."""
        for number in range(len(self.calls), len(calls)):
            self.calls = (*self.calls, calls[number])
            await self._write(call=(number, calls[number]))

    def check(self, calls: Sequence[ToolCall]) -> None:
        """Raise EndpointError unless the reply's calls begin with those that were sent."""
        if self.calls != tuple(calls[: len(self.calls)]):
            raise EndpointError("the reply changed a call that had ended", kind="protocol").blame("content")

    async def _begin(self) -> None:
        if not self.sent:
            await self._exchange.settle()
            self._exchange.reply.begin(200, [STREAM, *self._exchange.ticket.headers()])
            self._exchange.reply.write(self._completion.piece())

    def closed(self, refusal: Refusal) -> Refusal:
        """Say how the stream ends that breaks off with this error."""
        refusal.closing = self._completion.broken_off(refusal)
        return refusal

    async def end(self, *, with_usage: bool) -> None:
        """Send the rest of the settled completion: held text, calls, and the end."""
        if not self._thinks:
            self._thought = [self._completion.thinking, *self._completion.thoughts]
        if not self._fed:  # it came in one piece
            await self._text(self._completion.text)
        elif not self._completion.calls or not self.watched:
            await self._text("".join(self._held))
        else:
            await self._text(self._completion.text[self._sent_chars :])
        await self.say_calls(self._completion.calls)
        await self._write()
        await self._exchange.keep(self._completion)
        self._exchange.reply.write(self._completion.ending(with_usage=with_usage))
        self._exchange.reply.end()
