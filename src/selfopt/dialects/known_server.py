"""Finds out what program answers, before the first request that depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from selfopt.errors import EndpointError, EndpointFault
from selfopt.records import ChatRequest, ServerKind

from .openai_chat import OpenAIChat
from .servers import server_by, server_of

MAX_QUESTIONS = 3  # to a server that does not say what it is
Question = Callable[[], Awaitable[Any]]

# A server that fails so has not answered the question what it is.
_UNANSWERED: frozenset[EndpointFault] = frozenset({"connect", "timeout", "loading", "server", "rate_limited"})
# And is not there yet, which says nothing about later.
_NOT_YET: frozenset[EndpointFault] = frozenset({"connect", "loading"})


class KnownServer:
    """What is known about the server of one endpoint. Requests that come during a question share its answer."""

    def __init__(self, dialect: OpenAIChat) -> None:
        self._dialect = dialect
        self._asking = asyncio.Lock()
        self._asked = self._unanswered = 0

    def needed(self, request: ChatRequest) -> bool:
        """Whether this request depends on what is not known yet."""
        return self._dialect.server is None and not request.as_said

    async def ask(self, models: Question, props: Question) -> None:
        """Ask the server, unless another request just did.

        Args:
            models: asks for /v1/models. Returns JSON, None for anything else; raises EndpointError.
            props: asks for llama.cpp's /props in the same way.
        """
        before = self._asked
        async with self._asking:
            if self._asked == before and self._dialect.server is None:
                self._dialect.server = await self._answer(models, props)
                self._asked += 1

    async def _answer(self, models: Question, props: Question) -> ServerKind | None:
        try:
            found = server_of(await models())
        except EndpointError as error:
            if error.kind in _UNANSWERED:
                self._unanswered += error.kind not in _NOT_YET
                return "other" if self._unanswered >= MAX_QUESTIONS else None
            found = None
        if found is not None:
            return found
        try:
            return server_by(await props())
        except EndpointError:
            return "other"
