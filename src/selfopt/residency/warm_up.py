"""Warms up a model before the first scored request: a load, a small prompt, a real chat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from selfopt.errors import EndpointError, SelfoptError
from selfopt.records import Blob, ChatReply, ChatRequest, Endpoint, Message, ModelStatus, Residency, WarmUp, WarmUpResult

WARM_UP_PROMPT = "What is 2+2?"
MAX_CHATS = 3
NEAR_ZERO_LOAD_MS = 600.0
POLL_S = 0.25
log = logging.getLogger("selfopt.residency")


@dataclass(frozen=True, slots=True)
class Resident:
    """The result of `ensure_resident`.

    Attributes:
        before: the status of the model before.
        load_ms: how long the load took; None if none was needed.
        problem: why the model is not loaded; "" if it is, or if its state is unknown.
    """

    before: ModelStatus
    load_ms: float | None = None
    problem: str = ""


async def ensure_resident(residency: Residency, model: str, load_timeout_s: float) -> Resident:
    """Load the model if the server reports that it is not loaded.

    An "unknown" status changes nothing, because asking for a load would look like a request. Errors
    of the server do not raise; see `Resident.problem`.
    """
    before = ModelStatus(state="unknown")
    try:
        before = await residency.status(model)
        if before.state in ("loaded", "unknown"):
            return Resident(before)
        return Resident(before, load_ms=await residency.load(model, load_timeout_s))
    except SelfoptError as error:
        return Resident(before, problem=str(error))


async def warm_up(
    endpoint: Endpoint,
    residency: Residency,
    model: str,
    requests: Sequence[ChatRequest],
    policy: WarmUp,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> tuple[WarmUpResult, list[Blob]]:
    """Load a model and make it ready.

    1. Load the model. Some servers start over when a client leaves, so this waits up to
       policy.load_timeout_s.
    2. Ask "What is 2+2?". Once the model is loaded, policy.prompt_timeout_s limits this.
    3. Send the first of `requests`, a chat with the suite's tools, for which the server compiles
       the template. Repeat it while the reply reports a load, up to three chats in total. Then
       send each of the others once.

    Args:
        endpoint: where the requests go.
        residency: loads the model.
        model: the server's name of the model.
        requests: the chats of step 3.
        policy: whether to warm up, and the timeouts.
        clock: monotonic seconds.
        sleep: waits.

    Returns:
        The result, and the bodies sent and received as blobs. Errors of the server or the engine
        do not raise: the result has the status "failed" and says why.
    """
    if not policy.enabled:
        return WarmUpResult(status="off"), []
    job = _WarmUp(endpoint, residency, model, requests, policy, clock, sleep)
    try:
        await job.run()
    except SelfoptError as error:
        job.note_fault(error)
        log.warning("Warm-up failed: %s: %s", model, error)
        return job.result("failed", str(error)), job.blobs
    log.info("Warm-up complete: %s (load %.0f ms, prompt %.0f ms, chat %.0f ms)", model, job.load_ms, job.prompt_ms, job.chat_ms)
    return job.result("complete", job.remark), job.blobs


@dataclass(slots=True)
class _WarmUp:
    endpoint: Endpoint
    residency: Residency
    model: str
    wanted: Sequence[ChatRequest]
    policy: WarmUp
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    blobs: list[Blob] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    load_ms: float | None = None
    prompt_ms: float | None = None
    chat_ms: float | None = None
    resident: bool | None = None
    remark: str = ""

    async def run(self) -> None:
        before = await self.residency.status(self.model)
        deadline = self.clock() + self.policy.load_timeout_s
        self.load_ms = await self.residency.load(self.model, self.policy.load_timeout_s)
        after = await self.residency.status(self.model)
        bound_s = (
            self.policy.prompt_timeout_s if self._ready(after) else max(deadline - self.clock(), self.policy.prompt_timeout_s)
        )
        first, *others = self.wanted
        question = first.model_copy(
            update={
                "messages": (Message(role="user", content=WARM_UP_PROMPT),),
                "tools": (),
                "tool_choice": "auto",
                "constraint": None,
                "timeout_s": bound_s,
                "sampling": first.sampling.model_copy(update={"max_tokens": min(32, first.sampling.max_tokens)}),
            }
        )
        self.prompt_ms = (await self._ask(question, deadline)).latency_ms
        chat = first.model_copy(update={"timeout_s": max(first.timeout_s, bound_s)})
        for _ in range(MAX_CHATS):
            reply = await self._ask(chat, deadline)
            self.chat_ms = reply.latency_ms
            if not _speaks_of_load(reply):
                break
        else:
            self.remark = f"still reports a load after {MAX_CHATS} chats"
        for other in others:
            self.chat_ms = (self.chat_ms or 0.0) + (await self._ask(other, deadline)).latency_ms
        state = (await self.residency.status(self.model)).state
        self.resident = None if state == "unknown" else state == "loaded"
        if self.resident is False:
            self.remark = f"{self.remark}; model is {state} after it (it was {before.state})".removeprefix("; ")

    def _ready(self, status: ModelStatus) -> bool:
        """Whether the next chat needs no load. Another context size makes the server load again."""
        wanted = self.wanted[0].context_size
        same_context = None in (wanted, status.context_size) or wanted == status.context_size
        return status.state in ("loaded", "unknown") and same_context

    async def _ask(self, request: ChatRequest, deadline: float) -> ChatReply:
        """Send one chat. Repeat it while the server reports a load, until the deadline."""
        while True:
            try:
                reply = await self.endpoint.chat(request)
            except EndpointError as error:
                if error.kind != "loading" or self.clock() + POLL_S >= deadline:
                    raise
                self.note_fault(error)
                await self.sleep(POLL_S)
                continue
            self._keep(self.requests, reply.request_body)
            self._keep(self.replies, reply.reply_body)
            return reply

    def note_fault(self, error: SelfoptError) -> None:
        """Keep the bodies that a failed attempt sent and received."""
        if isinstance(error, EndpointError):
            self._keep(self.requests, error.request_body)
            self._keep(self.replies, error.reply_body)

    def _keep(self, hashes: list[str], text: str) -> None:
        if not text:
            return
        blob = Blob.of(text)
        hashes.append(blob.blob_hash)
        if all(known.blob_hash != blob.blob_hash for known in self.blobs):
            self.blobs.append(blob)

    def result(self, status: Literal["complete", "failed"], reason: str) -> WarmUpResult:
        """The result so far."""
        return WarmUpResult(
            status=status,
            reason=reason,
            load_ms=self.load_ms,
            prompt_ms=self.prompt_ms,
            chat_ms=self.chat_ms,
            resident=self.resident,
            requests=tuple(self.requests),
            replies=tuple(self.replies),
        )


def _speaks_of_load(reply: ChatReply) -> bool:
    return reply.load.loaded is True or (reply.load.load_ms or 0.0) > NEAR_ZERO_LOAD_MS
