"""One request in the hands of whoever answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from selfopt.dialects.chat_body import ChatBody
from selfopt.dialects.clients import ClientDialect
from selfopt.errors import AuditError
from selfopt.records import Rule
from selfopt.web import Reply

from .refusal import not_audited
from .seams import Upstream
from .ticket import Ticket


class LiveRequest:
    """dialect: the client's; chat: what is asked; reply: where the answer goes; upstream, rule, timeout_s: of the attempt under way; deadline: loop
    time by which all is done; audited: done when the diversion is durable, None where there is none."""

    __slots__ = (
        "_headers",
        "audited",
        "chat",
        "deadline",
        "dialect",
        "plain",
        "reply",
        "rule",
        "ticket",
        "timeout_s",
        "upstream",
    )

    def __init__(
        self,
        dialect: ClientDialect,
        chat: ChatBody,
        reply: Reply,
        ticket: Ticket,
        headers: Callable[[Ticket], list[bytes]],
        deadline: float,
    ) -> None:
        self.dialect = dialect
        self.chat = chat
        self.reply = reply
        self.ticket = ticket
        self._headers = headers
        self.deadline = deadline
        self.audited: asyncio.Future[None] | None = None
        self.upstream: Upstream | None = None
        self.rule: Rule | None = None
        self.timeout_s = 0.0
        self.plain = False

    def headers(self) -> list[bytes]:
        """What the answer says of itself, as things stand now."""
        return self._headers(self.ticket)

    async def settle(self) -> None:
        """Wait until a diversion is durable: before that nothing of the answer goes out. Refusal (503) when it cannot be."""
        audited = self.audited
        if audited is not None:
            try:
                await audited
            except AuditError as error:
                raise not_audited(error) from None
