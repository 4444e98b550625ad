"""Asks an embedding model which tools a live request is about, and never fails a request for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from selfopt.errors import EndpointError, SelfoptError
from selfopt.home import escape_control
from selfopt.records import ChatRequest, ReplyContent
from selfopt.records.seams import EmbeddingSource
from selfopt.records.trace import onward_trace
from selfopt.variants import RenderedStep

from .escalation import Escalating
from .live_request import LiveRequest
from .seams import Upstream

log = logging.getLogger("selfopt.gateway")
LONGEST_S = 5.0
REST_S = 30.0
_MOST_RESTING = 256


class EmbeddingSteps:
    """Answers the steps of embedding models.

    One that fails, or takes longer than five seconds, is not asked again for half a minute: a
    server that hangs would hold up every request. Words choose the tools in its place.
    """

    def __init__(self, source: Callable[[str, str], EmbeddingSource], clock: Callable[[], float] = monotonic) -> None:
        """source: gives who embeds, by the full names of the embedding model and of the model that serves."""
        self._source = source
        self._clock = clock
        self._resting: dict[str, float] = {}

    async def answer(self, served: str, step: RenderedStep, within_s: float = LONGEST_S) -> ReplyContent | None:
        """Return the reply to a step; None where the embedding model gives none.

        Args:
            served: the model that serves.
            within_s: how long the request can wait.
        """
        name = step.embedding
        if self._resting.get(name, 0.0) > self._clock():
            return None
        within_s = min(LONGEST_S, within_s)
        try:
            async with asyncio.timeout(within_s):
                source = self._source(name, served)
                asked = ChatRequest(model=source.model, messages=step.messages, timeout_s=within_s, connect_timeout_s=within_s)
                return (await source.endpoint.chat(asked)).content
        except (SelfoptError, TimeoutError) as error:
            # What is about these texts, or about who may send them to whom, says nothing of other requests.
            if not isinstance(error, TimeoutError | EndpointError) or getattr(error, "kind", "") == "bad_request":
                return None
            if len(self._resting) >= _MOST_RESTING:
                self._resting.clear()
            self._resting[name] = self._clock() + REST_S
            said = escape_control(str(error) or "no embeddings in time", 500)
            log.warning("%s: words choose the tools for %g s: %s", escape_control(name, 200), REST_S, said)
            return None


async def similar_to(upstream: Upstream, exchange: LiveRequest, step: RenderedStep) -> ReplyContent:
    """Answer a step of an embedding model. An empty reply leaves the choice to words.

    Raises Escalating where the answer has to be sure: no threshold was measured with words.
    """
    half_s = exchange.timeout_s / 2  # the model itself has to answer as well
    told = onward_trace.get()
    onward_trace.set(None)  # the embedding model may be elsewhere, and its request has no span
    try:
        content = await upstream.embeds(step, half_s) if upstream.embeds is not None else None
    finally:
        onward_trace.set(told)
    exchange.ticket.tools_by = "words" if content is None else "meaning"
    if content is None and exchange.serve_when is not None:
        raise Escalating("unmeasured")
    return content or ReplyContent()
