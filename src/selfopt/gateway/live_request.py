"""A chat while it is being answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from selfopt.dialects.chat_body import ChatBody
from selfopt.dialects.clients import ClientDialect, ReplyWriter
from selfopt.dialects.routes import Route
from selfopt.records import NO_TOOLS, Rule, ServeWhen, ToolOffer
from selfopt.web import Reply

from .escalation import HeldAnswer
from .seams import Upstream
from .ticket import Ticket


async def nothing_kept(answer: ReplyWriter) -> None:
    """Keep no answer."""


@dataclass(slots=True)
class LiveRequest:
    """A chat, where its answer goes, and the current attempt.

    Attributes:
        dialect: the client's.
        chat: what is asked.
        reply: where the answer goes.
        deadline: loop time by which all is done.
        plain: whether the client switched the variant off.
        route: the route beside chats that it came on; None for a chat. No other model may answer it.
        tools: what it offers, as far as the rules look at it; empty where no rule does.
        path, lines: where below a server's base URL it is passed on to, and what stands in the head then.
        audited: done when every diversion is on disk; None without one.
        upstream, rule, timeout_s: of the current attempt.
        helped: whether another model may answer if this attempt's reply is of no use.
        answered: whether a model answered already, though not as asked. Then no other model's error
            is told.
        crowded: says whether others wait for this attempt's place.
        serve_when: how sure the attempt's answer has to be; None where it is served as it is.
        held: an answer of before, which is served though it is not that sure.
        judged: called with whether the attempt's answer is sure enough, once that is known.
        certain: called once it is certain that the attempt's answer is served.
        keep: called with an answer that is settled, before its end is sent: it may be asked for later.
    """

    dialect: ClientDialect
    chat: ChatBody
    reply: Reply
    ticket: Ticket
    deadline: float
    plain: bool
    route: Route | None = None
    tools: ToolOffer = NO_TOOLS
    path: bytes = b""
    lines: bytes = b""
    audited: Awaitable[object] | None = None
    upstream: Upstream = field(init=False)
    rule: Rule | None = None
    timeout_s: float = 0.0
    helped: bool = False
    answered: bool = False
    crowded: Callable[[], bool] = lambda: False
    serve_when: ServeWhen | None = None
    held: HeldAnswer | None = None
    judged: Callable[[bool], None] = lambda sure: None
    certain: Callable[[], None] = lambda: None
    keep: Callable[[ReplyWriter], Awaitable[None]] = nothing_kept

    async def settle(self) -> None:
        """Wait until the diversions are on disk, before any of the answer is sent.

        Raises AuditError.
        """
        if self.audited is not None:
            await self.audited
