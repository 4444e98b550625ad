"""A streamed answer that is put together here: text goes out as soon as it is certain that it is text."""

from __future__ import annotations

import asyncio
import re

from .dialogue import Completion
from .exchange import Exchange

__all__ = ["Flow"]

STREAM = b"Content-Type: text/event-stream"
# Every format in which a call can be written in text needs one of these; a fence may come before.
_SIGN = re.compile(r"[{\[<(`]")
# No word that says "no call" is longer.
_LONGEST_WORD = 24


class Flow:
    """What of a model's text may be a call is held until the reply is whole.

    watched: whether it may be one at all; sent: whether anything went out.
    """

    def __init__(self, exchange: Exchange, completion: Completion) -> None:
        self._exchange = exchange
        self._completion = completion
        self._held = ""
        self._fed = False
        self._in_doubt = False
        self.watched = True

    @property
    def sent(self) -> bool:
        """Whether the client has a part of the answer: then there is no other attempt."""
        return self._exchange.reply.status != 0

    def restart(self, *, watched: bool) -> None:
        """Another reply comes in place of the one before."""
        self._held, self._fed, self._in_doubt, self.watched = "", False, False, watched

    async def feed(self, text: str) -> None:
        """A piece of the reply came."""
        self._held += text
        self._fed = True
        if self._in_doubt:
            return
        certain = self._held
        if self.watched:
            sign = _SIGN.search(self._held)
            self._in_doubt = sign is not None
            certain = self._held[: sign.start()] if sign is not None else self._held
            if not self.sent and len(certain.strip()) <= _LONGEST_WORD:
                return
        self._held = self._held[len(certain) :]
        await self._text(certain)

    async def _text(self, text: str) -> None:
        if text:
            await self._begin()
            reply = self._exchange.reply
            reply.write(self._completion.piece({"content": text}))
            if reply.stuck:
                taken = asyncio.get_running_loop().create_future()
                reply.when_writable(lambda: None if taken.done() else taken.set_result(None))
                await taken

    async def _begin(self) -> None:
        if not self.sent:
            await self._exchange.settle()
            self._exchange.reply.begin(200, [STREAM, *self._exchange.headers()])
            self._exchange.reply.write(self._completion.piece({"role": "assistant", "content": ""}))

    async def end(self, *, with_usage: bool) -> None:
        """The completion is settled: what was held where it is text, its calls, the end."""
        if not self._fed:  # it came in one piece
            await self._text(self._completion.text)
        elif not self._completion.calls or not self.watched:
            await self._text(self._held)
        await self._begin()
        self._exchange.reply.write(self._completion.ending(with_usage=with_usage))
        self._exchange.reply.end()
