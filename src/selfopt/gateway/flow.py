"""A streamed answer that is put together here: text goes out as soon as it is certain that it is text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from selfopt.dialects.clients import ReplyWriter
from selfopt.errors import EndpointError
from selfopt.reading.chain import LONGEST_WORD
from selfopt.records import ToolCall

from .live_request import LiveRequest

STREAM = b"Content-Type: text/event-stream"
# Every format in which a call can be written in text needs one of these; a fence may come before.
_SIGN = re.compile(r"[{\[<(`]")


def before_a_call(text: str) -> str:
    """The part of a reply that is text whatever follows it: up to the first sign of a call, when that is more than a word."""
    sign = _SIGN.search(text)
    before = text[: sign.start()] if sign is not None else text
    return before if len(before.strip()) > LONGEST_WORD else ""


class Flow:
    """What of a model's text may be a call is held until the reply is whole.

    watched: whether it may be one at all; sent: whether anything went out; calls: those that did.
    """

    def __init__(self, exchange: LiveRequest, completion: ReplyWriter) -> None:
        self._exchange = exchange
        self._completion = completion
        self._held: list[str] = []
        self._fed = False
        self._in_doubt = False
        self._spoke = False
        self.calls: tuple[ToolCall, ...] = ()
        self.watched = True

    @property
    def sent(self) -> bool:
        """Whether the client has a part of the answer: then there is no other attempt."""
        return self._exchange.reply.status != 0

    def restart(self, *, watched: bool) -> None:
        """Another reply comes in place of the one before."""
        self._held, self._fed, self._in_doubt, self.watched = [], False, False, watched

    async def feed(self, text: str) -> None:
        """A piece of the reply came."""
        if not text:
            return
        self._held.append(text)
        self._fed = True
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

    async def _text(self, text: str) -> None:
        if text:
            self._spoke = True
            await self._write(self._completion.piece(text))

    async def _write(self, event: bytes) -> None:
        await self._begin()
        reply = self._exchange.reply
        reply.write(event)
        if reply.stuck:
            taken = asyncio.get_running_loop().create_future()
            reply.when_writable(lambda: None if taken.done() else taken.set_result(None))
            await taken

    async def say_calls(self, calls: Sequence[ToolCall]) -> None:
        """The answer's calls begin with these: those that are new go out."""
        for number in range(len(self.calls), len(calls)):
            self.calls = (*self.calls, calls[number])
            await self._write(self._completion.piece(call=(number, calls[number])))

    def check(self, calls: Sequence[ToolCall]) -> None:
        """EndpointError `protocol` when these, of the whole reply, are not those that went out already, and more: a server took
        back what it had ended."""
        if self.calls != tuple(calls[: len(self.calls)]):
            raise EndpointError("the reply changed a call that had ended", kind="protocol")

    async def _begin(self) -> None:
        if not self.sent:
            await self._exchange.settle()
            self._exchange.reply.begin(200, [STREAM, *self._exchange.ticket.headers()])
            self._exchange.reply.write(self._completion.piece())

    async def end(self, *, with_usage: bool) -> None:
        """The completion is settled: what was held where it is text, its calls, the end."""
        if not self._fed:  # it came in one piece
            await self._text(self._completion.text)
        elif not self._completion.calls or not self.watched:
            await self._text("".join(self._held))
        await self.say_calls(self._completion.calls)
        await self._begin()
        self._exchange.reply.write(self._completion.ending(with_usage=with_usage))
        self._exchange.reply.end()
