"""Sends one request of a trial, with retries.

Records each attempt, and what residency says about a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from selfopt.errors import EndpointError
from selfopt.records import (
    Attempt,
    Blob,
    ChatReply,
    ChatRequest,
    Endpoint,
    Exchange,
    Fault,
    LoadEvidence,
    ModelStatus,
    ReplyContent,
    Residency,
)

from .context import MeasureContext

State = Literal["loaded", "loading", "unloaded", "sleeping", "unknown"]

NOT_LOADED: frozenset[State] = frozenset({"loading", "unloaded", "sleeping"})
_STATUS_TIMEOUT_S = 10.0
_UNAVAILABLE = 503
_KEPT_CHARS = 16_384


async def status_of(residency: Residency, model: str) -> ModelStatus:
    """The model's status. It is "unknown" when the server does not answer within ten seconds."""
    try:
        async with asyncio.timeout(_STATUS_TIMEOUT_S):
            return await residency.status(model)
    except TimeoutError:
        return ModelStatus(state="unknown")


class ResidencyWatch:
    """Asks for residency when it matters: before the first reply, after failures and idle time."""

    def __init__(
        self, residency: Residency, model: str, clock: Callable[[], float], idle_s: float, first: State | None = None
    ) -> None:
        self._residency = residency
        self._model = model
        self._clock = clock
        self._idle_s = idle_s
        self._first = first
        self._replied_at: float | None = None

    async def ask(self) -> State:
        """Ask now."""
        return (await status_of(self._residency, self._model)).state

    def presumed(self) -> State | None:
        """Residency before a request. "unknown": no reason to ask; None: somebody has to ask."""
        if self._first is not None:
            return self._first
        if self._replied_at is None or self._clock() - self._replied_at > self._idle_s:
            return None
        return "unknown"

    def replied(self) -> None:
        """Note that a whole reply came, so the model is loaded."""
        self._first = None
        self._replied_at = self._clock()

    def failed(self) -> None:
        """Note that a request failed, so nothing is known any more."""
        self._first = None
        self._replied_at = None


@dataclass(frozen=True, slots=True)
class Channel:
    """How the trials of one pass reach their model."""

    endpoint: Endpoint
    watch: ResidencyWatch
    context: MeasureContext


@dataclass(frozen=True, slots=True)
class ExchangeResult:
    """The result of one request. content None: no attempt succeeded; fault and error say why."""

    exchange: Exchange
    blobs: tuple[Blob, ...]
    content: ReplyContent | None
    fault: Fault | None = None
    error: EndpointError | None = None


async def exchange(channel: Channel, step: str, request: ChatRequest, retries: int) -> ExchangeResult:
    """Send a request until a reply comes, at most 1 + retries times while a retry is useful."""
    context = channel.context
    attempts: list[Attempt] = []
    blobs: list[Blob] = []
    wait_s = 0.0
    while True:
        before = channel.watch.presumed() or await channel.watch.ask()
        started_at, began = context.now(), context.clock()
        try:
            reply = await channel.endpoint.chat(request)
        except EndpointError as error:
            latency_ms = (context.clock() - began) * 1000
            channel.watch.failed()
            fault, load = await _classify(channel.watch, error, before)
            sent, received = _text_sent(request, error.request_body), Blob.of(error.reply_body) if error.reply_body else None
            blobs += [sent, received] if received else [sent]
            attempts.append(
                Attempt(
                    number=len(attempts) + 1,
                    started_at=started_at,
                    request=sent.blob_hash,
                    reply=received.blob_hash if received else None,
                    status=error.status,
                    fault=error.kind,
                    error=str(error),
                    latency_ms=latency_ms,
                    wait_before_ms=wait_s * 1000,
                    load=load,
                    cause=error.cause,
                    said=error.said if error.cause is not None else "",
                )
            )
            if not error.retryable or len(attempts) > retries:
                return ExchangeResult(Exchange(step=step, attempts=tuple(attempts)), tuple(blobs), None, fault, error)
            wait_s = context.backoff.wait_s(len(attempts), error.retry_after_s, context.rng)
            await context.sleep(wait_s)
            continue
        latency_ms = (context.clock() - began) * 1000
        channel.watch.replied()
        sent, received = _text_sent(request, reply.request_body), Blob.of(reply.reply_body)
        blobs += [sent, received]
        attempts.append(
            Attempt(
                number=len(attempts) + 1,
                started_at=started_at,
                request=sent.blob_hash,
                reply=received.blob_hash,
                status=reply.status,
                finish_reason=reply.content.finish_reason,
                latency_ms=reply.latency_ms or latency_ms,
                wait_before_ms=wait_s * 1000,
                usage=reply.usage,
                timings=reply.timings,
                load=reply.load if before == "unknown" else _evidence(reply, before, reply.latency_ms or latency_ms),
            )
        )
        return _done(step, attempts, blobs, reply)


def _done(step: str, attempts: list[Attempt], blobs: list[Blob], reply: ChatReply) -> ExchangeResult:
    """The result of a request that got a reply. Contents repeat, and are kept once: so the log
    probabilities are a blob of their own.
    """
    content = Blob.of(reply.content.__pydantic_serializer__.to_json(reply.content).decode())
    kept, observed = [*blobs, content], None
    if reply.logprobs is not None:
        logprobs = Blob.of(reply.logprobs.model_dump_json())
        kept.append(logprobs)
        observed = logprobs.blob_hash
    exchange = Exchange(step=step, attempts=tuple(attempts), content=content.blob_hash, logprobs=observed)
    return ExchangeResult(exchange, tuple(kept), reply.content.model_copy(update={"logprobs": reply.logprobs}))


def _text_sent(request: ChatRequest, body: str) -> Blob:
    text = body or request.model_dump_json(exclude={"beside"})
    return _kept_blob(text) if len(text) <= _KEPT_CHARS else Blob.of(text)


@lru_cache(maxsize=256)
def _kept_blob(text: str) -> Blob:
    """The blob of a text. Cached, because the same requests are sent in every pass."""
    return Blob.of(text)


async def _classify(watch: ResidencyWatch, error: EndpointError, before: State) -> tuple[Fault, LoadEvidence]:
    """The fault of a failed attempt, and the load evidence.

    A timeout, a refused connection or a 503 counts as loading when residency, asked before or after
    it, says that the model was not loaded.
    """
    if error.kind == "loading":
        return "loading", LoadEvidence(before=before, loaded=True)
    if error.kind in ("timeout", "connect") or error.status == _UNAVAILABLE:
        if before in NOT_LOADED or await watch.ask() in NOT_LOADED:
            return "loading", LoadEvidence(before=before, loaded=True)
        if error.kind == "timeout":
            return "timeout", LoadEvidence(before=before, loaded=False if before == "loaded" else None)
    return "error", LoadEvidence(before=before)


def _evidence(reply: ChatReply, before: State, latency_ms: float) -> LoadEvidence:
    """The load evidence of a reply.

    What the server does not report is taken from residency just before the request.
    """
    load_ms, loaded = reply.load.load_ms, reply.load.loaded
    if loaded is None:
        loaded = before in NOT_LOADED
    if load_ms is None and before in NOT_LOADED:
        timings = reply.timings
        if timings.prompt_ms is not None and timings.output_ms is not None:
            load_ms = max(0.0, latency_ms - timings.prompt_ms - timings.output_ms)
    return LoadEvidence(before=before, load_ms=load_ms, loaded=loaded)
